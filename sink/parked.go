package sink

import (
	"maps"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/deadletter"
)

// parkedTable is what is parked of a source table.
type parkedTable struct {
	name string // schema.table
	// changes are those that are parked, keys have them by their rows, in order; a key change is of both of its keys.
	changes map[change.Position]parkedKeys
	keys    map[string][]change.Position
	// current is the version of the table that the sink has come to, committed the one at the checkpoint. They are
	// followed while anything is parked.
	current, committed *change.Table
	since              change.Position // of current
	seen               *change.Table   // equals current
}

type parkedKeys struct{ key, linked string }

func newParkedTable(name string) *parkedTable {
	return &parkedTable{name: name, changes: map[change.Position]parkedKeys{}, keys: map[string][]change.Position{}}
}

func (t *parkedTable) empty() bool { return len(t.changes) == 0 }

// add notes a parked change, whose table is of the version.
func (t *parkedTable) add(at change.Position, key, linked string, version *change.Table) {
	if t.holds(at) {
		return
	}
	k := parkedKeys{key, linked}
	t.changes[at] = k
	for _, key := range k.list() {
		i, _ := slices.BinarySearchFunc(t.keys[key], at, change.Position.Compare)
		t.keys[key] = slices.Insert(t.keys[key], i, at)
	}
	if t.current == nil || at.Compare(t.since) > 0 {
		t.current, t.since = version, at
	}
}

// holds tells whether the change at a position is parked.
func (t *parkedTable) holds(at change.Position) bool {
	_, parked := t.changes[at]
	return parked
}

// remove forgets a change that is parked no more.
func (t *parkedTable) remove(at change.Position) {
	k, known := t.changes[at]
	if !known {
		return
	}
	delete(t.changes, at)
	for _, key := range k.list() {
		switch of := t.keys[key]; {
		case len(of) == 1:
			delete(t.keys, key)
		case of[0] == at: // as a rule
			t.keys[key] = of[1:]
		default:
			i, _ := slices.BinarySearchFunc(of, at, change.Position.Compare)
			t.keys[key] = slices.Delete(of, i, i+1)
		}
	}
}

// list gives the keys, each once.
func (k parkedKeys) list() []string {
	if k.linked == "" || k.linked == k.key {
		return []string{k.key}
	}
	return []string{k.key, k.linked}
}

// behind tells whether a change of a key that was parked stands before a position.
func (t *parkedTable) behind(key []byte, at change.Position) bool {
	parked := t.keys[string(key)]
	return len(parked) > 0 && parked[0].Compare(at) < 0
}

// clear forgets what stands before a position and gives the IDs.
func (t *parkedTable) clear(before change.Position) (ids []string) {
	for _, at := range slices.SortedFunc(maps.Keys(t.changes), change.Position.Compare) {
		if at.Compare(before) < 0 {
			ids = append(ids, deadletter.IDOf(at, t.name))
			t.remove(at)
		}
	}
	return ids
}

// version takes what a topic says of the table's version, to a sink that stands at a commit.
func (t *parkedTable) version(v *deadletter.Version, at change.LSN) {
	switch {
	case v.From.Commit > at && v.Before != nil:
		t.current = v.Before
	case v.From.Commit <= at && v.From.Compare(t.since) > 0:
		t.current, t.since = v.Table, v.From
	}
}

// follow takes the version of a change and tells whether it is another.
func (t *parkedTable) follow(c *change.Change) (other bool) {
	if t.seen == c.Table {
		return false
	}
	t.seen = c.Table
	if t.current == nil || deadletter.Same(t.current, c.Table) {
		t.current = c.Table
		return false
	}
	return true
}
