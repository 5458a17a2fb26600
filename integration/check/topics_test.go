package check_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/integration/check"
	"github.com/sluicecdc/sluice/internal/change"
)

// sound is a log without fault: a snapshot group, a transaction over two partitions with a delete and
// its tombstone, one with a TRUNCATE, and a heartbeat.
func sound() *check.Log {
	r := func(partition int32, offset int64, key string, op byte, commit change.LSN, ordinal, total int64, group string) check.Record {
		record := check.Record{Topic: "s.public.t", Partition: partition, Offset: offset, Op: op, Collection: "public.t",
			Position: change.Position{Commit: commit, Ordinal: ordinal}, Group: group, TotalOrder: total, Snapshot: op == 'r'}
		if key != "" {
			record.Key = []byte(key)
		}
		return record
	}
	end := func(offset int64, id string, commit change.LSN, partitions map[int32]int64, count int64) check.End {
		e := check.End{Offset: offset, Status: "END", ID: id, EventCount: count, Commit: commit}
		if count > 0 {
			e.Collections = []check.Collection{{Name: "public.t", EventCount: count, Partitions: partitions}}
		}
		return e
	}
	return &check.Log{
		Records: []check.Record{
			r(0, 0, "a", 'r', 9, 1, 1, "snapshot:9"),
			r(0, 1, "a", 'u', 20, 1, 1, "1:20"),
			r(0, 2, "a", 'd', 20, 4, 3, "1:20"),
			{Topic: "s.public.t", Partition: 0, Offset: 3, Key: []byte("a"), Tombstone: true},
			r(0, 4, "", 't', 30, 1, 1, "2:30"),
			r(0, 5, "a", 'c', 30, 2, 2, "2:30"),
			r(1, 0, "b", 'r', 9, 2, 2, "snapshot:9"),
			r(1, 1, "c", 'c', 20, 2, 2, "1:20"),
			r(1, 2, "", 't', 30, 1, 1, "2:30"),
		},
		Ends: []check.End{
			end(0, "snapshot:9", 9, map[int32]int64{0: 1, 1: 1}, 2),
			end(1, "1:20", 20, map[int32]int64{0: 2, 1: 1}, 3),
			end(2, "2:30", 30, map[int32]int64{0: 2, 1: 1}, 2),
			{Offset: 3, Status: "HEARTBEAT", ID: "3:40", Commit: 40},
		},
	}
}

func TestSoundLog(t *testing.T) {
	if found := sound().Check(); len(found) > 0 {
		t.Errorf("a sound log is blamed: %v", found)
	}
}

func TestPlantedViolations(t *testing.T) {
	drop := func(i int) func(l *check.Log) {
		return func(l *check.Log) { l.Records = slices.Delete(l.Records, i, i+1) }
	}
	for name, c := range map[string]struct {
		plant func(l *check.Log)
		want  string
	}{
		"positions fall": {
			func(l *check.Log) {
				l.Records[1].Position, l.Records[2].Position = l.Records[2].Position, l.Records[1].Position
			},
			"order: s.public.t[0]@2 (op d at 0/14+1 of group 1:20) stands after s.public.t[0]@1"},
		"a record twice in a partition": {
			func(l *check.Log) { l.Records = slices.Insert(l.Records, 2, l.Records[1]) },
			"once: s.public.t[0]@1 (op u at 0/14+1 of group 1:20) repeats"},
		"a record twice in a topic": {
			func(l *check.Log) {
				again := l.Records[1]
				again.Partition, again.Offset = 1, 3
				l.Records = append(l.Records, again)
			}, "once: s.public.t[1]@3"},
		"a TRUNCATE twice in a partition": {
			func(l *check.Log) { l.Records = append(l.Records, l.Records[8]) },
			"once: s.public.t[1]@2 (op t"},
		"a key in two partitions": {
			func(l *check.Log) { l.Records[7].Key = []byte("a") },
			"keys: s.public.t[1]@1 (op c at 0/14+2 of group 1:20) has the key of s.public.t[0]@0"},
		"no key, wrong partition": {
			func(l *check.Log) { l.Records[7].Key = nil },
			"must stand in partition 0"},
		"a tombstone without delete": {
			func(l *check.Log) { l.Records[3].Key = []byte("b") },
			"does not follow the delete of its key"},
		"a lost snapshot row":       {drop(0), "chains: s.public.t[0]@1 (op u"},
		"a lost delete":             {func(l *check.Log) { drop(4)(l); drop(2)(l) }, "creates a row that is there"},
		"a lost record in an END":   {drop(7), "says 3 changes, the topics hold 2"},
		"an END that counts wrong":  {func(l *check.Log) { l.Ends[1].EventCount = 4 }, "counts: END of group 1:20 (offset 1, commit 0/14) says 4 changes, the topics hold 3"},
		"a table that counts wrong": {func(l *check.Log) { l.Ends[1].Collections[0].EventCount = 4 }, "its tables add up to 4"},
		"records in another partition": {
			func(l *check.Log) { l.Ends[1].Collections[0].Partitions = map[int32]int64{0: 1, 1: 2} },
			"by table and partition"},
		"an END twice":                   {func(l *check.Log) { l.Ends = append(l.Ends, l.Ends[2]) }, "comes a second time"},
		"ENDs out of order":              {func(l *check.Log) { l.Ends[1], l.Ends[2] = l.Ends[2], l.Ends[1] }, "commit LSNs must rise"},
		"an END with another commit LSN": {func(l *check.Log) { l.Ends[2].Commit = 31 }, "its records committed at 0/1E"},
		"an END of nothing":              {func(l *check.Log) { l.Ends[3].EventCount = 1 }, "says 1 changes, the topics hold 0"},
		"a heartbeat with records":       {func(l *check.Log) { l.Ends[2].EventCount, l.Ends[2].Collections = 0, nil }, "says 0 changes"},
		"a transaction without END":      {func(l *check.Log) { l.Ends = slices.Delete(l.Ends, 1, 2) }, "complete: group 1:20 has no END"},
		"an order twice":                 {func(l *check.Log) { l.Records[7].TotalOrder = 1 }, "has the total_order 1 of the change at"},
		"two commit LSNs in a group":     {func(l *check.Log) { l.Records[7].Position.Commit = 21 }, "has another commit LSN"},
	} {
		t.Run(name, func(t *testing.T) {
			l := sound()
			c.plant(l)
			if found := fmt.Sprint(l.Check()); !strings.Contains(found, c.want) {
				t.Errorf("found %s\nwant %q", found, c.want)
			}
		})
	}
}

// TestCutSnapshot: a snapshot that was cut short is no fault, and the one that replaces it begins the
// rows anew.
func TestCutSnapshot(t *testing.T) {
	l := sound()
	cut := l.Records[0]
	cut.Position.Commit, cut.Group, cut.Offset = 5, "snapshot:5", -1
	l.Records = slices.Insert(l.Records, 0, cut)
	if found := l.Check(); len(found) > 0 {
		t.Errorf("blamed: %v", found)
	}
}

// TestEras: a table with another key begins with rows that nobody has seen, another table of the name
// with none.
func TestEras(t *testing.T) {
	for name, c := range map[string]struct {
		table uint32
		key   string
		want  string
	}{
		"another key":   {1, "\x00\x00\x00\x00\x02a", "[]"},
		"another table": {2, "\x00\x00\x00\x00\x01a", "[chains: s.public.t[0]@1 (op u at 0/28+1 of group 4:40) is of a row that is not there]"},
		"the same":      {1, "\x00\x00\x00\x00\x01b", "[chains: s.public.t[0]@1 (op u at 0/28+1 of group 4:40) is of a row that is not there]"},
	} {
		t.Run(name, func(t *testing.T) {
			record := func(offset int64, table uint32, key string, op byte, commit change.LSN) check.Record {
				return check.Record{Topic: "s.public.t", Offset: offset, Table: table, Key: []byte(key), Op: op, Collection: "public.t",
					Position: change.Position{Commit: commit, Ordinal: 1}, Group: fmt.Sprintf("4:%d", commit), TotalOrder: 1}
			}
			l := &check.Log{Records: []check.Record{
				record(0, 1, "\x00\x00\x00\x00\x01a", 'c', 30), record(1, c.table, c.key, 'u', 40), record(2, c.table, c.key, 'u', 50),
			}}
			if found := fmt.Sprint(check.Chains(l)); found != c.want {
				t.Errorf("found %s\nwant %s", found, c.want)
			}
		})
	}
}
