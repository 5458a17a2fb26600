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

// NeverBack finds records of a key that show its row older than a record before, by a column that every write at the
// source raises. A row that is copied may be the one that is there.
func NeverBack(l *Log) []Violation {
	type row struct{ topic, key string }
	var found []Violation
	newest := map[row]*Record{}
	for i := range l.Records {
		r := &l.Records[i]
		if r.Rises == 0 {
			continue
		}
		k := row{r.Topic, string(r.Key)}
		if last := newest[k]; last != nil && (r.Rises < last.Rises || r.Rises == last.Rises && r.Op != byte(change.Read)) {
			found = append(found, violation("never back", "%s has version %d after %d in %s", r, r.Rises, last.Rises, last))
		}
		newest[k] = r
	}
	return found
}
