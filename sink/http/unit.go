package http

import (
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// unit is a run of changes that becomes calls together: collapsed by row, unless the table sends every change.
type unit struct {
	stages []*stage
	// last is the position of the last change that was taken in, also when it makes no call.
	last change.Position
}

// stage is what may run side by side. A TRUNCATE stands in one of its own.
type stage struct {
	entries []*entry // in the order in which their rows were first touched
	newest  map[rowID]*entry
}

type rowID struct {
	schema, table, key string
}

// entry is the last state of one row, or one change of it. What is nil or false is not known or did not happen.
type entry struct {
	t  *target
	id change.Row // holds the key's columns
	of rowID
	// first is the position of the row's first change.
	first change.Position

	row   change.Row // the row to write
	at    change.Position
	made  bool // its first change created it
	early bool

	gone   bool // the API's row is deleted, before row is written
	goneAt change.Position

	marked   bool // the row ends as deleted under the policy soft
	markedAt change.Position

	clear bool // not a row: all rows go
	chain *entry
}

func newUnit() *unit { return &unit{} }

func (u *unit) empty() bool { return len(u.stages) == 0 }

func (u *unit) stage() *stage {
	if len(u.stages) == 0 {
		u.next()
	}
	return u.stages[len(u.stages)-1]
}

func (u *unit) next() {
	u.stages = append(u.stages, &stage{newest: map[rowID]*entry{}})
}

// root finds what stands for a chain: rows whose calls follow each other.
func (e *entry) root() *entry {
	for e.chain != nil {
		e = e.chain
	}
	return e
}

// link makes the calls of two rows follow each other.
func link(a, b *entry) {
	if a == nil || b == nil {
		return
	}
	if a, b = a.root(), b.root(); a != b {
		b.chain = a
	}
}

// find gives what is known of a row; nil when it was not touched.
func (s *stage) find(t *target, id change.Row) *entry {
	return s.newest[rowID{t.table.Schema, t.table.Name, t.key(id)}]
}

// entry gives the entry for a change of a row: the one that there is, or where every change is sent, a new one.
func (s *stage) entry(t *target, id change.Row, at change.Position) *entry {
	key := rowID{t.table.Schema, t.table.Name, t.key(id)}
	old := s.newest[key]
	if old != nil && old.t == t && t.dest.Changes != ChangesEvery {
		return old
	}
	e := &entry{t: t, id: id, of: key, first: at}
	link(old, e)
	s.entries = append(s.entries, e)
	s.newest[key] = e
	return e
}

// add takes in a change, or the two halves of a key change.
func (u *unit) add(t *target, cs []change.Change) error {
	c := &cs[0]
	switch {
	case c.Op == change.Truncate:
		return u.truncate(t, c)
	case len(cs) == 2:
		return u.move(t, c, &cs[1])
	case c.Op == change.Delete:
		if err := t.check(c.Before, "the old row"); err != nil {
			return err
		}
		u.remove(t, c)
		return nil
	}
	if err := t.check(c.After, "the row"); err != nil {
		return err
	}
	row := c.After
	if c.Op == change.Update && c.BeforeKind == change.BeforeFull {
		row = fill(row, c.Before)
	}
	return u.write(t, c, row)
}

// write takes in a row that is created, updated or read.
func (u *unit) write(t *target, c *change.Change, row change.Row) error {
	s := u.stage()
	old := s.find(t, row)
	if old != nil && old.t == t {
		row = fill(row, old.row)
	}
	if unknown(row) {
		if c.Early && old != nil && (old.marked || old.gone && old.row == nil) {
			return nil // the row is not there yet
		}
		if err := t.partial(row, old); err != nil {
			return err
		}
	}
	e := s.entry(t, row, position(c))
	if e.row == nil {
		e.made = c.Op != change.Update
	}
	e.row, e.at, e.early, e.marked = row, position(c), c.Early, false
	return nil
}

// partial says whether a row that lacks values can be sent.
func (t *target) partial(row change.Row, old *entry) error {
	switch {
	case old != nil && (old.gone || old.marked):
		return t.lacking(row, "the API does not have them, since the row was deleted before")
	case t.dest.Patch == nil:
		return t.lacking(row, "the sink has no call that leaves values as they are (patch)")
	case t.dest.Filtered && t.soft() && old == nil:
		return t.lacking(row, "what the API holds of them may be older: the row may be one that left by where and stayed, marked")
	}
	return nil
}

// remove takes in a deletion, by the table's policy.
func (u *unit) remove(t *target, c *change.Change) {
	switch t.dest.Deletes.Policy {
	case sink.DeleteIgnore:
	case sink.DeleteSoft:
		e := u.stage().entry(t, c.Before, position(c))
		e.marked, e.markedAt = true, position(c)
	default:
		e := u.stage().entry(t, c.Before, position(c))
		e.row, e.gone, e.goneAt = nil, true, position(c)
	}
}

// move takes in a key change: the old row goes by the policy, then the new one is written. Values that did not travel
// are the old row's, where the unit has them: an API is not asked for what it holds.
func (u *unit) move(t *target, del, cre *change.Change) error {
	if err := t.check(del.Before, "the old row"); err != nil {
		return err
	}
	if err := t.check(cre.After, "the row"); err != nil {
		return err
	}
	s := u.stage()
	row := fill(cre.After, del.Before)
	if e := s.find(t, del.Before); e != nil && !e.marked && e.t == t {
		row = fill(row, e.row)
	}
	lacks := unknown(row)
	if lacks && !cre.Early {
		return t.lacking(row, "its key has changed, under which the API holds them")
	}
	u.remove(t, del)
	if lacks {
		return nil // the row is still to come
	}
	old := s.find(t, del.Before)
	if err := u.write(t, cre, row); err != nil {
		return err
	}
	link(old, s.find(t, row))
	return nil
}

// truncate takes in a TRUNCATE by the table's policies.
func (u *unit) truncate(t *target, c *change.Change) error {
	switch {
	case t.dest.Truncate != sink.TruncateApply && !c.Approved:
		return &sink.HeldError{Table: t.from, Why: sink.HoldTruncate, Reason: "it was truncated at the source and the sink's truncate is refuse: " +
			"nothing was called. Set truncate: apply for the table, with the call that clears it, and start the sink again, or put the rows back at the source"}
	case t.dest.Deletes.Policy == sink.DeleteIgnore:
		return nil
	case t.dest.Clear == nil:
		return &sink.HeldError{Table: t.from, Why: sink.HoldTruncate, Reason: "it was truncated at the source, and the sink has no call that clears it (clear): " +
			"nothing was called. Add the call and start the sink again, or leave the TRUNCATE out (sluice skip)"}
	}
	u.next()
	row := c.Before
	if row == nil {
		row = make(change.Row, len(t.table.Columns))
	}
	s := u.stage()
	s.entries = append(s.entries, &entry{t: t, id: row, clear: true, at: position(c)})
	u.next()
	return nil
}

func position(c *change.Change) change.Position {
	return change.Position{Commit: c.Commit, Ordinal: c.Ordinal}
}

// own copies the rows of the batch that the unit is made of, so that it may outlive it.
func (u *unit) own() {
	for _, s := range u.stages {
		for _, e := range s.entries {
			e.id, e.row = own(e.id), own(e.row)
		}
	}
}

func own(row change.Row) change.Row {
	out := slices.Clone(row)
	for i := range out {
		out[i].Data = slices.Clone(out[i].Data)
	}
	return out
}

// step is one call that is to be made.
type step struct {
	entry *entry
	of    rowID
	t     *target
	kind  kind
	at    change.Position // of the change that it comes of
	row   change.Row
	early bool
	marks bool // what a soft delete sets

	request // rendered
}

// steps gives the calls of an entry in their order.
func (e *entry) steps() (out []*step) {
	t := e.t
	if e.clear {
		return []*step{{entry: e, t: t, kind: kindClear, at: e.at, row: e.id}}
	}
	if e.gone && (e.row == nil || t.dest.Upsert == nil) {
		out = append(out, &step{entry: e, of: e.of, t: t, kind: kindDelete, at: e.goneAt, row: t.widen(e.id)})
	}
	if e.row != nil {
		out = append(out, &step{entry: e, of: e.of, t: t, kind: e.writes(), at: e.at, row: t.widen(e.row), early: e.early})
	}
	if e.marked {
		out = append(out, &step{entry: e, of: e.of, t: t, kind: kindPatch, at: e.markedAt, row: t.cols.marks(e.id), marks: true})
	}
	return out
}

// writes gives the kind of call that writes the entry's row.
func (e *entry) writes() kind {
	switch {
	case unknown(e.row):
		return kindPatch
	case e.t.dest.Upsert != nil:
		return kindUpsert
	case e.made || e.gone:
		return kindCreate
	}
	return kindUpdate
}

// widen gives a row the columns that only a soft delete sets.
func (t *target) widen(row change.Row) change.Row {
	if len(row) == len(t.cols.all) {
		return row
	}
	out := make(change.Row, len(t.cols.all))
	copy(out, row)
	return out
}

// chains gives the calls of a stage: each list in its order, the lists side by side.
func (s *stage) chains() [][]*step {
	index := map[*entry]int{}
	var out [][]*step
	for _, e := range s.entries {
		steps := e.steps()
		if len(steps) == 0 {
			continue
		}
		root := e.root()
		i, ok := index[root]
		if !ok {
			i = len(out)
			index[root] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], steps...)
	}
	for _, c := range out {
		slices.SortStableFunc(c, func(a, b *step) int { return a.at.Compare(b.at) })
	}
	return out
}
