package check

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// group is what the table topics hold of one group.
type group struct {
	commit   change.LSN
	snapshot bool
	first    *Record
	counts   map[string]map[int32]int64 // records by collection and partition
	orders   map[int64]change.Position  // positions by total order: a TRUNCATE stands several times at one
}

func (l *Log) groups() (map[string]*group, []Violation) {
	var found []Violation
	groups := map[string]*group{}
	for i := range l.Records {
		r := &l.Records[i]
		if r.Tombstone {
			continue
		}
		g := groups[r.Group]
		if g == nil {
			g = &group{commit: r.Position.Commit, snapshot: r.Snapshot, first: r,
				counts: map[string]map[int32]int64{}, orders: map[int64]change.Position{}}
			groups[r.Group] = g
		}
		found = append(found, g.add(r)...)
	}
	return groups, found
}

func (g *group) add(r *Record) []Violation {
	if g.counts[r.Collection] == nil {
		g.counts[r.Collection] = map[int32]int64{}
	}
	g.counts[r.Collection][r.Partition]++
	var found []Violation
	if r.Position.Commit != g.commit {
		found = append(found, violation("counts", "%s has another commit LSN than %s of the same group", r, g.first))
	}
	if at, taken := g.orders[r.TotalOrder]; taken && at != r.Position {
		found = append(found, violation("counts", "%s has the total_order %d of the change at %s", r, r.TotalOrder, at))
	}
	g.orders[r.TotalOrder] = r.Position
	return found
}

// changes counts the group's changes, a TRUNCATE once.
func (g *group) changes() int64 { return int64(len(g.orders)) }

// Counts compares each END with the records of its group: the number of changes, and of records for
// each table and partition; and finds ENDs that repeat or do not rise.
func Counts(l *Log) []Violation {
	groups, found := l.groups()
	ended := map[string]bool{}
	var last change.LSN
	for i := range l.Ends {
		e := &l.Ends[i]
		if ended[e.ID] {
			found = append(found, violation("counts", "%s comes a second time", e))
			continue
		}
		ended[e.ID] = true
		if e.Commit <= last {
			found = append(found, violation("counts", "%s follows one of %s: commit LSNs must rise", e, last))
		}
		last = e.Commit
		whole := *e
		found = append(found, whole.claim(l.Releases)...)
		found = append(found, whole.compare(groups[e.ID])...)
	}
	return found
}

// claim adds what became of changes that waited.
func (e *End) claim(releases map[[2]string]Release) []Violation {
	var found []Violation
	e.Collections = slices.Clone(e.Collections)
	for i := range e.Collections {
		c := &e.Collections[i]
		if c.Held == 0 {
			continue
		}
		r, ok := releases[[2]string{e.ID, c.Name}]
		if !ok {
			found = append(found, violation("counts", "%s says that %d changes of %s wait, and they were never released", e, c.Held, c.Name))
		}
		late := r.EventCount - c.Held // transforms may leave changes out
		e.EventCount, c.EventCount = e.EventCount+late, c.EventCount+late
		c.Partitions = maps.Clone(c.Partitions)
		for p, n := range r.Partitions {
			c.Partitions[p] += n
		}
	}
	return found
}

func (e *End) String() string {
	return fmt.Sprintf("%s of group %s (offset %d, commit %s)", e.Status, e.ID, e.Offset, e.Commit)
}

func (e *End) compare(g *group) []Violation {
	if g == nil {
		g = &group{commit: e.Commit}
	}
	var found []Violation
	if g.commit != e.Commit {
		found = append(found, violation("counts", "%s: its records committed at %s", e, g.commit))
	}
	if g.changes() != e.EventCount {
		found = append(found, violation("counts", "%s says %d changes, the topics hold %d", e, e.EventCount, g.changes()))
	}
	var sum int64
	said := map[string]map[int32]int64{}
	for _, c := range e.Collections {
		sum += c.EventCount
		said[c.Name] = c.Partitions
	}
	if sum != e.EventCount {
		found = append(found, violation("counts", "%s says %d changes, its tables add up to %d", e, e.EventCount, sum))
	}
	if !maps.EqualFunc(said, g.counts, maps.Equal[map[int32]int64, map[int32]int64]) {
		found = append(found, violation("counts", "%s says %v by table and partition, the topics hold %v", e, said, g.counts))
	}
	return found
}

// Complete finds groups without END, which only a snapshot that was cut short may leave. The topics must
// have been read when nothing was under way.
func Complete(l *Log) []Violation {
	groups, _ := l.groups()
	for _, e := range l.Ends {
		delete(groups, e.ID)
	}
	var found []Violation
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		if g := groups[id]; !g.snapshot && !l.cut(g.first.Position.Commit) {
			found = append(found, violation("complete", "group %s has no END; its first record is %s", id, g.first))
		}
	}
	return found
}

// cut tells whether a transaction stands before the mark of a gap, which may have taken its rest.
func (l *Log) cut(commit change.LSN) bool {
	for _, e := range l.Ends {
		if e.Commit > commit {
			return e.Status == "GAP"
		}
	}
	return false
}

// dropped are the groups that have no END, of snapshots or cut by a gap: readers leave them out.
func (l *Log) dropped() map[string]bool {
	groups, _ := l.groups()
	for _, e := range l.Ends {
		delete(groups, e.ID)
	}
	dropped := map[string]bool{}
	for id, g := range groups {
		dropped[id] = g.snapshot || l.cut(g.first.Position.Commit)
	}
	return dropped
}
