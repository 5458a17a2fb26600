package postgres

import (
	"context"

	"github.com/sluicecdc/sluice/internal/change"
)

// chunkRows and chunkBytes bound one statement: its parameters stand in memory on both sides.
const (
	chunkRows  = 5000
	chunkBytes = queueBytes
)

// statement is one prepared statement over arrays.
type statement struct {
	kind  string
	cols  []int
	as    arrays // texts for one that knows no other
	sql   func(as arrays) string
	extra [][]byte // text parameters that follow the arrays
	exact bool     // each row must be found
}

// run sends the rows of the entries that want gives, in chunks.
func (s *Sink) run(ctx context.Context, tp *tablePlan, st statement, want func(*entry) change.Row) error {
	c := s.chunkOf(tp.t, st.cols, st.as)
	for i := range tp.entries {
		row := want(&tp.entries[i])
		if row == nil {
			continue
		}
		if c.add(row); c.full() {
			if err := s.send(ctx, tp.t, st, c); err != nil {
				return err
			}
		}
	}
	return s.send(ctx, tp.t, st, c)
}

// send queues a chunk and empties it.
func (s *Sink) send(ctx context.Context, t *target, st statement, c *chunk) error {
	if len(c.rows) == 0 {
		return nil
	}
	kind := st.kind
	if c.as == texts {
		kind += " from texts"
	}
	name, err := s.prepared(ctx, t, kind, func() string { return st.sql(c.as) })
	if err != nil {
		return err
	}
	e := expect{t: t, rows: -1}
	if st.exact {
		e.rows = int64(len(c.rows))
		e.miss = func() error { return errMissingRow }
	}
	args, formats := c.args(st.extra)
	s.queue.addPrepared(name, args, formats, e)
	c.reset()
	if s.queue.bytes >= queueBytes {
		return s.flush(ctx)
	}
	return nil
}

func (s *Sink) deleteRows(ctx context.Context, tp *tablePlan) error {
	if tp.t.opt.Deletes == Archive {
		return s.archiveRows(ctx, tp)
	}
	st := statement{kind: "delete", cols: tp.t.key, sql: tp.t.deleteSQL}
	return s.run(ctx, tp, st, func(e *entry) change.Row {
		if e.gone && !tp.emptied {
			return e.id
		}
		return nil
	})
}

func (s *Sink) markRows(ctx context.Context, tp *tablePlan) error {
	st := statement{kind: "mark", cols: tp.t.key, sql: tp.t.markSQL, extra: tp.t.softArgs(nil)}
	return s.run(ctx, tp, st, func(e *entry) change.Row {
		if e.marked {
			return e.id
		}
		return nil
	})
}

func (s *Sink) upsertRows(ctx context.Context, tp *tablePlan) error {
	cols := tp.t.all()
	st := statement{kind: "upsert", cols: cols, sql: func(as arrays) string { return tp.t.upsertSQL(cols, as) }}
	return s.run(ctx, tp, st, func(e *entry) change.Row {
		if e.row != nil && !e.partial {
			return e.row
		}
		return nil
	})
}

// updateRows writes rows of which some columns are unknown, one statement for each set of columns.
func (s *Sink) updateRows(ctx context.Context, tp *tablePlan) error {
	type part struct {
		mask  string
		early bool
	}
	groups := map[part][]int{}
	for i := range tp.entries {
		e := &tp.entries[i]
		if e.row == nil || !e.partial {
			continue
		}
		if gone := tp.emptied || e.gone; gone && tp.t.opt.Filtered {
			e.row, e.wait = nil, waitBegins
			continue
		} else if gone {
			return unsent(tp.t, e.row)
		}
		if p := (part{tp.t.mask(e.row), e.early}); groups[p] == nil {
			groups[p] = tp.t.knownColumns(e.row)
		}
	}
	for p, cols := range groups {
		st := statement{kind: "update " + p.mask, cols: cols, sql: func(as arrays) string { return tp.t.updateSQL(cols, as) }, exact: !p.early && !s.lenient(tp.t)}
		if err := s.run(ctx, tp, st, func(e *entry) change.Row {
			if e.row != nil && e.partial && e.early == p.early && tp.t.mask(e.row) == p.mask {
				return e.row
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// mask says which columns of a row are known.
func (t *target) mask(row change.Row) string {
	b := make([]byte, len(t.cols))
	for i := range t.cols {
		b[i] = '0'
		if known(row[i]) {
			b[i] = '1'
		}
	}
	return string(b)
}

// knownColumns lists the key, then the other columns that have a value.
func (t *target) knownColumns(row change.Row) []int {
	cols := append([]int{}, t.key...)
	for i := range t.cols {
		if known(row[i]) && !t.inKey(i) {
			cols = append(cols, i)
		}
	}
	return cols
}
