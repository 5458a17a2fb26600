package postgres

import (
	"cmp"
	"slices"
	"unsafe"

	"github.com/sluicecdc/sluice/internal/change"
)

// plan is a run of changes collapsed table by table, in the order in which the tables were first
// touched. It holds views of the batch's rows. A session has one, whose memory serves batch after batch.
type plan struct {
	tables []*tablePlan
	by     map[*target]*tablePlan // also those that are not touched now
}

// tablePlan is what is to happen to one table.
type tablePlan struct {
	t       *target
	touched bool
	index   map[string]int // entries by key
	entries []entry
	keybuf  []byte
	keys    []byte // the entries' keys are views of it, or of what it was before it grew
	// emptied says that every row of the destination goes first (TRUNCATE).
	emptied bool
	// mixed says that not every entry is a row not seen before.
	mixed bool
	// keep is the gap after which the table is repaired, as the entries to keep have it.
	keep change.LSN
	// ops are the changes of a table without key, in order: nothing can be collapsed there.
	ops []*change.Change
}

// entry is the last state of one row.
type entry struct {
	key string
	id  change.Row // holds the key's columns
	row change.Row // the row to write; nil when only its deletion is known
	// gone says that the destination's row is deleted first: what was created after it is a new row,
	// in whose other columns nothing of the old one may stay.
	gone bool
	// marked says that the row ends as deleted under the policy Soft.
	marked bool
	// commit and time are those of the last deletion, for the archive.
	commit change.LSN
	time   change.Micros
	// partial says that some columns of row are unknown: they stay as they are at the destination.
	partial bool
	// early says of a partial row that it may not be there.
	early bool
	// keep says that a repair leaves the row.
	keep bool
	// wait says whether the row is waited for.
	wait wait
}

// wait is what a plan knows of a row that may be waited for.
type wait byte

const (
	waitUnknown wait = iota
	waitOver         // it was written whole, or deleted
	waitBegins       // nobody has all values of it
)

func newPlan() *plan { return &plan{by: map[*target]*tablePlan{}} }

func (p *plan) table(t *target) *tablePlan {
	tp := p.by[t]
	if tp == nil {
		tp = &tablePlan{t: t, index: map[string]int{}}
		p.by[t] = tp
	}
	if !tp.touched {
		tp.touched = true
		p.tables = append(p.tables, tp)
	}
	return tp
}

// reset forgets what is planned.
func (p *plan) reset() {
	for _, tp := range p.tables {
		tp.forget()
		tp.touched, tp.emptied, tp.keep = false, false, 0
	}
	p.tables = p.tables[:0]
}

// forget drops the changes of a table.
func (tp *tablePlan) forget() {
	clear(tp.index)
	clear(tp.entries) // they are views of a batch
	clear(tp.ops)
	tp.entries, tp.ops, tp.keys, tp.mixed = tp.entries[:0], tp.ops[:0], tp.keys[:0], false
}

// find gives the entry of the row with the key in id, or nil.
func (tp *tablePlan) find(id change.Row) *entry {
	tp.keybuf = tp.t.appendKey(tp.keybuf[:0], id)
	if i, ok := tp.index[string(tp.keybuf)]; ok {
		return &tp.entries[i]
	}
	return nil
}

// entry finds or makes one.
func (tp *tablePlan) entry(id change.Row) *entry {
	if e := tp.find(id); e != nil {
		tp.mixed = true
		return e
	}
	key := tp.newKey()
	tp.index[key] = len(tp.entries)
	tp.entries = append(tp.entries, entry{key: key, id: id})
	return &tp.entries[len(tp.entries)-1]
}

// newKey keeps the key that find has looked for.
func (tp *tablePlan) newKey() string {
	from := len(tp.keys)
	tp.keys = append(tp.keys, tp.keybuf...)
	return unsafe.String(unsafe.SliceData(tp.keys[from:]), len(tp.keybuf))
}

// put says that the row now is as given, unknown values apart.
func (tp *tablePlan) put(op change.Op, row change.Row, early bool, keep change.LSN) {
	e := tp.entry(row)
	tp.mixed = tp.mixed || op == change.Update
	if !tp.t.unknown(row) {
		e.wait = waitOver
	}
	e.row = fill(row, e.row)
	e.marked = false
	e.partial = tp.t.unknown(e.row)
	e.early = early
	if keep != 0 {
		e.keep, tp.keep = true, keep
	}
}

// remove says that the row was deleted, by the table's policy.
func (tp *tablePlan) remove(c *change.Change) {
	e := tp.entry(c.Before)
	tp.mixed, e.wait = true, waitOver
	if tp.t.opt.Deletes == Ignore {
		return
	}
	e.commit, e.time = c.Commit, c.Time
	if tp.t.opt.Deletes == Soft {
		e.marked = true
		return
	}
	e.row, e.gone, e.partial = nil, true, false
}

// await says that nobody has all values of the row with the key in id.
func (tp *tablePlan) await(id change.Row, keep change.LSN) {
	e := tp.entry(id)
	tp.mixed, e.wait = true, waitBegins
	if keep != 0 {
		e.keep, tp.keep = true, keep
	}
}

// empty says that every row was deleted for good.
func (tp *tablePlan) empty() {
	mixed := tp.mixed
	tp.forget()
	tp.emptied, tp.mixed = true, mixed
}

// sort orders the entries by key: other sessions then meet our locks in one order, and the index is
// walked in one direction.
func (tp *tablePlan) sort() {
	byKey := func(a, b entry) int { return cmp.Compare(a.key, b.key) }
	if tp.t.ints {
		byKey = func(a, b entry) int { return compareInts(a.key, b.key) }
	}
	if !slices.IsSortedFunc(tp.entries, byKey) {
		slices.SortFunc(tp.entries, byKey)
	}
	clear(tp.index) // they are somewhere else now
}

// compareInts orders decimal texts as numbers.
func compareInts(a, b string) int {
	an, bn := a != "" && a[0] == '-', b != "" && b[0] == '-'
	switch {
	case an && bn:
		return compareInts(b[1:], a[1:])
	case an:
		return -1
	case bn:
		return 1
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
