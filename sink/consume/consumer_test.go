package consume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/sink"
)

// drawLog writes random groups: of several tables and partitions, with deletes and their tombstones,
// TRUNCATEs, heartbeats, groups of other tables, groups that were cut short, and control records.
func drawLog(t *rapid.T) *writer {
	partitions := map[string]int{}
	for _, name := range []string{"a", "b", "c"} {
		partitions[name] = rapid.IntRange(1, 4).Draw(t, "partitions of "+name)
	}
	w := newWriter(newFakeLog(), partitions, "a", "b")
	for range rapid.IntRange(0, 12).Draw(t, "groups") {
		w.begin(rapid.IntRange(0, 9).Draw(t, "kind") == 0)
		for range rapid.SampledFrom([]int{0, 1, 1, 2, 5, 40}).Draw(t, "changes") {
			drawChange(t, w)
		}
		if rapid.IntRange(0, 3).Draw(t, "held") == 0 {
			drawHeld(t, w)
		}
		if w.snapshot && rapid.Bool().Draw(t, "cut short") {
			w.cutShort()
			continue
		}
		w.end()
	}
	w.begin(false)
	w.row('c', "a", 0, "last")
	w.end()
	return w
}

// drawHeld has tables of the group wait: whole, or from a partition on where no TRUNCATE is in all of them.
func drawHeld(t *rapid.T, w *writer) {
	truncated := slices.ContainsFunc(w.want[w.wanted():], func(c string) bool { return strings.Contains(c, " t ") })
	for _, table := range slices.Sorted(maps.Keys(w.counts)) {
		from := 0
		if !truncated {
			from = rapid.IntRange(0, w.partitions[table]).Draw(t, "held from partition")
		}
		w.hold(table, from)
	}
}

func drawChange(t *rapid.T, w *writer) {
	table := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "table")
	p := rapid.IntRange(0, w.partitions[table]-1).Draw(t, "partition")
	switch rapid.IntRange(0, 12).Draw(t, "op") {
	case 0:
		w.truncate(table)
	case 1, 2:
		w.row('d', table, p, "gone")
		w.tombstone(table, p)
	case 3:
		w.log.hole(w.tp(table, p))
	case 4:
		w.row('u', table, p, strings.Repeat("long ", 300))
	default:
		w.row('c', table, p, fmt.Sprint("v", w.commit, w.ordinal))
	}
}

// run is one reader over its restarts: what it applied, and where it stands.
type run struct {
	t     *rapid.T
	r     *rig
	got   []string
	open  []string // pieces of a group whose end has not come
	at    sink.Checkpoint
	limit int
}

// apply does what a destination does, late: when the batch after b was made already.
func (x *run) apply(b *sink.Batch) {
	for i := range b.Changes {
		c := &b.Changes[i]
		x.open = append(x.open, describe(c, 0))
	}
	if b.Open {
		if b.Checkpoint.Commit != 0 || len(b.Changes) == 0 {
			x.t.Fatalf("a piece with %d changes and checkpoint %v", len(b.Changes), b.Checkpoint)
		}
		return
	}
	if b.Checkpoint.Commit < x.at.Commit || !b.Checkpoint.Complete {
		x.t.Fatalf("checkpoint %v after %v", b.Checkpoint, x.at)
	}
	x.got, x.open, x.at = append(x.got, x.open...), nil, b.Checkpoint
}

// until reads until the last commit is applied, or n checkpoints were given and at most two more
// pieces.
func (x *run) until(last change.LSN, n int) {
	x.open = nil
	c := x.r.start(x.at)
	var before *sink.Batch
	done, due := context.WithCancel(context.Background())
	due()
	for n > -3 {
		b, err := c.Next(context.Background(), done)
		if err != nil {
			x.t.Fatal(err)
		}
		if len(b.Changes) > max(x.limit, 41) {
			x.t.Fatalf("a batch of %d changes, the limit is %d", len(b.Changes), x.limit)
		}
		if before != nil {
			x.apply(before)
		}
		before = b
		if !b.Open || n <= 0 {
			n--
		}
		if !b.Open && b.Checkpoint.Commit >= last {
			break
		}
	}
	if before != nil {
		x.apply(before)
	}
}

func TestRandomGroupsComeWholeAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawLog(t)
		r := newRig(w)
		r.limits = Config{
			BatchChanges: rapid.IntRange(1, 50).Draw(t, "batch changes"),
			BatchBytes:   rapid.SampledFrom([]int{500, 3000, 100000}).Draw(t, "batch bytes"),
		}
		r.chance = rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "lateness")))
		r.late = rapid.SampledFrom([]float64{0, .3, .9}).Draw(t, "late")
		x := &run{t: t, r: r, limit: r.limits.BatchChanges}
		for x.at.Commit < change.LSN(w.commit) {
			x.until(change.LSN(w.commit), rapid.IntRange(1, 30).Draw(t, "batches until restart"))
		}
		want := plain(w.want)
		if !slices.Equal(x.got, want) {
			t.Fatalf("got %d changes\n%s\nwant %d\n%s", len(x.got), strings.Join(x.got, "\n"), len(want), strings.Join(want, "\n"))
		}
	})
}

// one reads one batch with everything at hand.
func one(t *testing.T, c *consumer) *sink.Batch {
	t.Helper()
	b, err := c.Next(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSmallGroupsShareABatch(t *testing.T) {
	w := newWriter(newFakeLog(), map[string]int{"a": 2}, "a")
	for i := range 3 {
		w.begin(false)
		w.row('c', "a", i%2, "x")
		w.end()
	}
	b := one(t, newRig(w).start(sink.Checkpoint{}))
	if len(b.Changes) != 3 || b.Groups != 3 || b.Open || len(b.Commits) != 3 || b.Checkpoint.Commit != 1030 {
		t.Fatalf("%+v", b)
	}
	want := map[string]map[int32]int64{endsOf.Topic: {0: 3}, w.tp("a", 0).Topic: {0: 2, 1: 1}}
	if fmt.Sprint(b.Checkpoint.Offsets) != fmt.Sprint(want) {
		t.Errorf("offsets %v, want %v", b.Checkpoint.Offsets, want)
	}
}

func TestLargeGroupComesInPieces(t *testing.T) {
	w := newWriter(newFakeLog(), map[string]int{"a": 3}, "a")
	w.begin(false)
	w.row('c', "a", 0, "small")
	w.end()
	w.begin(true)
	for i := range 25 {
		w.row('r', "a", i%3, "x")
	}
	w.end()
	r := newRig(w)
	r.limits.BatchChanges = 10
	c := r.start(sink.Checkpoint{})
	var shape []string
	for range 4 {
		b := one(t, c)
		shape = append(shape, fmt.Sprintf("%d changes, %d groups, %d commits, open %v", len(b.Changes), b.Groups, len(b.Commits), b.Open))
	}
	want := []string{
		"1 changes, 1 groups, 1 commits, open false",
		"10 changes, 0 groups, 0 commits, open true", "10 changes, 0 groups, 0 commits, open true",
		"5 changes, 1 groups, 0 commits, open false",
	}
	if !slices.Equal(shape, want) {
		t.Errorf("got %q", shape)
	}
}

func TestUnknownPartitionsSkipWhatIsApplied(t *testing.T) {
	w := newWriter(newFakeLog(), map[string]int{"a": 1}, "a")
	for range 3 {
		w.begin(false)
		w.row('c', "a", 0, "x")
		w.end()
	}
	r := newRig(w)
	b := one(t, r.start(sink.Checkpoint{Commit: 1020, Complete: true}))
	if len(b.Changes) != 1 || b.Checkpoint.Commit != 1030 || r.dropped != 0 {
		t.Fatalf("%+v, dropped %d", b, r.dropped)
	}
}

func TestCutShortGroupIsDropped(t *testing.T) {
	w := newWriter(newFakeLog(), map[string]int{"a": 1}, "a")
	w.begin(true)
	w.row('r', "a", 0, "never ended")
	w.cutShort()
	w.begin(true)
	w.row('r', "a", 0, "whole")
	w.end()
	r := newRig(w)
	b := one(t, r.start(sink.Checkpoint{}))
	if len(b.Changes) != 1 || r.dropped != 1 {
		t.Fatalf("%d changes, %d dropped", len(b.Changes), r.dropped)
	}
}

func TestWrongRecordsAreNamed(t *testing.T) {
	cases := map[string]struct {
		damage func(w *writer)
		want   string
	}{
		"missing": {func(w *writer) {
			tp := w.tp("a", 1)
			w.log.records[tp] = w.log.records[tp][1:]
		}, "cannot complete group g:1010 (commit 0/3F2) at offset 1 of topic src.public.a, partition 1: 1 of its records are missing before a record of group g:1020"},
		"ordinal twice": {func(w *writer) {
			w.log.records[w.tp("a", 0)][1].Value = w.log.records[w.tp("a", 0)][0].Value
		}, "ordinal 1 comes after ordinal 1"},
		"ordinal in two partitions": {func(w *writer) {
			w.log.records[w.tp("a", 1)][0].Value = w.log.records[w.tp("a", 0)][0].Value
		}, "ordinal 1 is in topic src.public.a, partition 0, too"},
		"count": {func(w *writer) {
			r := &w.log.records[endsOf][0]
			r.Value = []byte(strings.Replace(string(r.Value), `"EventCount":3,"Partitions"`, `"EventCount":4,"Partitions"`, 1))
		}, "announced 4 changes of public.a and its records hold 3"},
		"garbage": {func(w *writer) {
			w.log.records[w.tp("a", 0)][1].Value = []byte("garbage")
		}, "cannot read offset 1 of topic src.public.a, partition 0"},
		"garbage END": {func(w *writer) {
			w.log.records[endsOf][0].Value = []byte("garbage")
		}, "cannot read offset 0 of topic src.transaction"},
		"partition twice": {func(w *writer) {
			r := &w.log.records[endsOf][0]
			r.Value = []byte(strings.Replace(string(r.Value), `"Partition":1`, `"Partition":0`, 1))
		}, "names partition 0 of public.a twice"},
		"negative": {func(w *writer) {
			r := &w.log.records[endsOf][0]
			r.Value = []byte(strings.Replace(string(r.Value), `"Partition":1`, `"Partition":-1`, 1))
		}, "names partition -1"},
		"other history": {func(w *writer) {
			ends := w.log.records[endsOf]
			ends[0].Value, ends[1].Value = ends[1].Value, ends[0].Value
		}, "are missing before"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWriter(newFakeLog(), map[string]int{"a": 2}, "a")
			w.begin(false)
			w.row('c', "a", 0, "x")
			w.row('c', "a", 1, "x")
			w.row('c', "a", 0, "x")
			w.end()
			w.begin(false)
			w.row('c', "a", 1, "x")
			w.end()
			c.damage(w)
			_, err := newRig(w).start(sink.Checkpoint{}).Next(t.Context(), nil)
			if name == "other history" {
				return // named by the test below
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v\nwant %s", err, c.want)
			}
			if sink.Retryable(err) {
				t.Error("an error that no retry heals says it may pass")
			}
		})
	}
}

func TestEarlierCommitIsAnotherHistory(t *testing.T) {
	w := newWriter(newFakeLog(), map[string]int{"a": 1}, "a")
	w.begin(false)
	w.end()
	from := sink.Checkpoint{Commit: 5000, Offsets: map[string]map[int32]int64{endsOf.Topic: {0: 0}}}
	_, err := newRig(w).start(from).Next(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "another history of the source") {
		t.Fatal(err)
	}
}

func TestNewPartitionIsReadAgain(t *testing.T) {
	w := newWriter(newFakeLog(), map[string]int{"a": 1}, "a")
	r := newRig(w)
	c := r.start(sink.Checkpoint{})
	w.partitions["a"] = 2
	w.begin(false)
	w.row('c', "a", 1, "x")
	w.end()
	_, err := c.Next(t.Context(), nil)
	if !sink.Retryable(err) || !strings.Contains(err.Error(), "partition 1 of public.a, which had 1") {
		t.Fatal(err)
	}
}

func TestCancelledWait(t *testing.T) {
	w := newWriter(newFakeLog(), map[string]int{"a": 1}, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newRig(w).start(sink.Checkpoint{}).Next(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// tails lets every partition look as if it held records.
type tails struct{ rig *rig }

func (f tails) Tail(_ context.Context, topic string, _ int) ([][]kafka.Record, error) {
	var out [][]kafka.Record
	for p := range int32(4) {
		out = append(out, f.rig.w.log.records[kafka.TopicPartition{Topic: topic, Partition: p}])
	}
	return out, nil
}

func TestTableAddedLaterIsRefused(t *testing.T) {
	w := newWriter(newFakeLog(), map[string]int{"a": 2, "b": 2}, "a")
	w.begin(false)
	w.row('c', "a", 0, "x")
	w.row('c', "b", 1, "x")
	w.end()
	r := newRig(w)
	at := one(t, r.start(sink.Checkpoint{})).Checkpoint
	w.mine["b"] = true
	err := r.start(at).refuseAdded(t.Context(), tails{r}, at)
	if err == nil || !strings.Contains(err.Error(), "table public.b is new to this sink, which stands at commit 0/3F2") || sink.Retryable(err) {
		t.Fatal(err)
	}
	w.log.records[w.tp("b", 1)] = nil
	w.begin(false)
	w.row('c', "b", 0, "later")
	w.end()
	c := r.start(at)
	if err := c.refuseAdded(t.Context(), tails{r}, at); err != nil {
		t.Fatal(err)
	}
	if b := one(t, c); len(b.Changes) != 1 {
		t.Errorf("%+v", b)
	}
}

// While a table's changes wait, what is before them is given, and then the reason.
func TestHeldTableHoldsTheSink(t *testing.T) {
	w := newWriter(newFakeLog(), map[string]int{"a": 1}, "a")
	w.begin(false)
	w.row('c', "a", 0, "before")
	w.end()
	w.begin(false)
	w.row('c', "a", 0, "waits")
	w.hold("a", 0)
	w.end()
	w.log.records[noticesOf] = w.log.records[noticesOf][:2]
	r := newRig(w)
	r.limits.Alone = 1020
	c := r.start(sink.Checkpoint{})
	if b := one(t, c); len(b.Changes) != 1 || b.Checkpoint.Commit != 1010 {
		t.Fatalf("%+v", b)
	}
	var held *sink.HeldError
	if _, err := c.Next(t.Context(), nil); !errors.As(err, &held) || held.Why != sink.HoldCapture || held.At != 1020 || !strings.Contains(held.Reason, "a reason") {
		t.Errorf("%v", err)
	}
}
