package check

import (
	"cmp"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// Chains finds records that do not continue what came before them for their key: a create of a row that
// is there, an update or delete of one that is not. It shows lost and doubled records that keep
// positions in order. It holds for tables with a key. Rows that are copied may be there, since the stream may
// have brought them, or a crash the copy again; but not twice in a group. Before all are copied, changes
// may be of rows that are not there yet. Groups of copied rows that were cut short are left out, as readers do.
func Chains(l *Log) []Violation {
	var found []Violation
	dropped, eras, copying := l.dropped(), l.eras(), l.copying()
	var here place
	var c chain
	for i := range l.Records {
		r := &l.Records[i]
		if r.place() != here {
			here, c = r.place(), chain{}
		}
		if r.Tombstone || r.Op == byte(change.Message) || dropped[r.Group] {
			continue
		}
		c.enter(eras[r.Topic].at(r))
		if v := c.follow(r, copying[r.Group][r.Collection]); v != nil {
			found = append(found, *v)
		}
	}
	return found
}

// chain is what is known of the rows of a partition.
type chain struct {
	era   *era
	alive map[string]bool
	read  map[string]string // the group that a row was copied in last
	all   bool              // a key that is not in alive has no row
}

func (c *chain) enter(e *era) {
	if c.era != e {
		*c = chain{era: e, alive: map[string]bool{}, read: map[string]string{}, all: e.fresh}
	}
}

func (c *chain) follow(r *Record, copying bool) (v *Violation) {
	if r.truncate() {
		clear(c.alive)
		c.all = true
	}
	if r.Key == nil {
		return nil
	}
	alive, known := c.alive[string(r.Key)]
	if r.Op == byte(change.Read) {
		alive = c.read[string(r.Key)] == r.Group
		c.read[string(r.Key)] = r.Group
	}
	creates := r.Op == byte(change.Create) || r.Op == byte(change.Read)
	c.alive[string(r.Key)] = r.Op != byte(change.Delete)
	switch {
	case creates && alive:
		found := violation("chains", "%s creates a row that is there", r)
		return &found
	case !creates && !alive && !copying && (known || c.all):
		found := violation("chains", "%s is of a row that is not there", r)
		return &found
	}
	return nil
}

// copying tells of each group which tables were being copied at its end.
func (l *Log) copying() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, e := range l.Ends {
		for _, name := range e.Copying {
			if out[e.ID] == nil {
				out[e.ID] = map[string]bool{}
			}
			out[e.ID][name] = true
		}
	}
	return out
}

// era is a time in which a topic has one table with one key. Another begins when the table is dropped and
// created again, is renamed, or gets another key: rows then are under other keys, without a record. So does one after
// a gap in the source's log.
type era struct {
	from  change.Position
	table uint32
	key   string // framing of the key
	fresh bool   // the table had no rows before
}

type eras []*era

// at gives the era of a record.
func (all eras) at(r *Record) *era {
	i := len(all) - 1
	for i > 0 && r.Position.Compare(all[i].from) < 0 {
		i--
	}
	return all[i]
}

// eras gives those of each topic, in order. The first of a table is fresh, wherever it is.
func (l *Log) eras() map[string]eras {
	var order []*Record
	for i := range l.Records {
		if r := &l.Records[i]; !r.Tombstone {
			order = append(order, r)
		}
	}
	slices.SortStableFunc(order, func(a, b *Record) int { return cmp.Or(a.Position.Compare(b.Position), cmp.Compare(a.Topic, b.Topic)) })
	topics, seen, gaps := map[string]eras{}, map[uint32]bool{}, l.gaps()
	for _, r := range order {
		all := topics[r.Topic]
		n := len(all)
		lost := n > 0 && gap(gaps, all[n-1].from, r.Position)
		if n == 0 || lost || !all[n-1].holds(r) {
			fresh := n == 0 && r.Table == 0 || r.Table != 0 && !seen[r.Table]
			topics[r.Topic] = append(all, &era{from: r.Position, table: r.Table, key: r.keyFrame(), fresh: fresh && !lost})
		}
		seen[r.Table] = true
	}
	return topics
}

// gaps are where continuity was lost.
func (l *Log) gaps() (marks []change.Position) {
	for _, e := range l.Ends {
		if e.Status == "GAP" {
			marks = append(marks, change.Position{Commit: e.Commit})
		}
	}
	return marks
}

// gap tells whether a gap is marked between two positions: what rows there are after it nobody knows.
func gap(marks []change.Position, from, to change.Position) bool {
	return slices.ContainsFunc(marks, func(at change.Position) bool { return from.Compare(at) < 0 && at.Compare(to) <= 0 })
}

// holds tells whether a record, which may have no key, belongs to the era.
func (e *era) holds(r *Record) bool {
	if frame := r.keyFrame(); frame != "" && e.key == "" {
		e.key = frame
	} else if frame != "" && frame != e.key {
		return false
	}
	return e.table == r.Table
}

// keyFrame is the part of the key that says its schema; empty without one.
func (r *Record) keyFrame() string {
	if len(r.Key) < 5 || r.Key[0] != 0 {
		return ""
	}
	return string(r.Key[:5])
}
