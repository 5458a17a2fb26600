package check

import (
	"bytes"

	"github.com/sluicecdc/sluice/internal/change"
)

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

func (r *Record) place() place { return place{r.Topic, r.Partition} }

// Order finds records of a partition whose position does not rise, and tombstones that do not follow
// the delete of their key.
func Order(l *Log) []Violation {
	var found []Violation
	last := map[place]*Record{} // changes only
	before := map[place]*Record{}
	for i := range l.Records {
		r := &l.Records[i]
		switch previous := last[r.place()]; {
		case r.Tombstone:
			if d := before[r.place()]; d == nil || d.Op != byte(change.Delete) || !bytes.Equal(d.Key, r.Key) {
				found = append(found, violation("order", "%s does not follow the delete of its key", r))
			}
		case previous != nil && r.Position.Compare(previous.Position) <= 0:
			found = append(found, violation("order", "%s stands after %s: positions must rise", r, previous))
			last[r.place()] = r
		default:
			last[r.place()] = r
		}
		before[r.place()] = r
	}
	return found
}

// Once finds positions that stand in a topic more than once: in one partition, or in several unless
// they are those of a TRUNCATE.
func Once(l *Log) []Violation {
	type spot struct {
		topic     string
		partition int32 // -1 for all but a TRUNCATE
		at        change.Position
	}
	var found []Violation
	seen := map[spot]*Record{}
	for i := range l.Records {
		r := &l.Records[i]
		if r.Tombstone {
			continue
		}
		s := spot{r.Topic, -1, r.Position}
		if r.truncate() {
			s.partition = r.Partition
		}
		if first := seen[s]; first != nil {
			found = append(found, violation("once", "%s repeats %s", r, first))
			continue
		}
		seen[s] = r
	}
	return found
}

// Keys finds keys with records in more than one partition, and records without key outside partition
// 0, TRUNCATEs apart.
func Keys(l *Log) []Violation {
	var found []Violation
	home := map[string]*Record{}
	for i := range l.Records {
		r := &l.Records[i]
		switch {
		case r.truncate():
		case r.Key == nil:
			if r.Partition != 0 {
				found = append(found, violation("keys", "%s has no key and must stand in partition 0", r))
			}
		default:
			name := r.Topic + "\x00" + string(r.Key)
			if first := home[name]; first == nil {
				home[name] = r
			} else if first.Partition != r.Partition {
				found = append(found, violation("keys", "%s has the key of %s, in another partition", r, first))
			}
		}
	}
	return found
}

// Chains finds records that do not continue what came before them for their key: a create of a row that
// is there, an update or delete of one that is not. It shows lost and doubled records that keep
// positions in order. It holds for topics that begin with the table's first row, by a snapshot or by the
// table's creation, and for tables with a key. Snapshots that were cut short are left out, as readers do.
func Chains(l *Log) []Violation {
	var found []Violation
	dropped := l.dropped()
	var here place
	alive := map[string]bool{}
	for i := range l.Records {
		r := &l.Records[i]
		if r.place() != here {
			here = r.place()
			clear(alive)
		}
		if r.truncate() {
			clear(alive)
		}
		if r.Key == nil || r.Tombstone || r.Op == byte(change.Message) || dropped[r.Group] {
			continue
		}
		key := string(r.Key)
		creates := r.Op == byte(change.Create) || r.Op == byte(change.Read)
		switch {
		case creates && alive[key]:
			found = append(found, violation("chains", "%s creates a row that is there", r))
		case !creates && !alive[key]:
			found = append(found, violation("chains", "%s is of a row that is not there", r))
		}
		alive[key] = r.Op != byte(change.Delete)
	}
	return found
}
