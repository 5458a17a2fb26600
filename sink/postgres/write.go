package postgres

import (
	"context"
	"errors"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// write collapses changes and executes them.
func (s *Sink) write(ctx context.Context, changes []change.Change) error {
	p := s.scratch
	p.reset() // an error may have left something
	for i := 0; i < len(changes); {
		n := 1
		if i+1 < len(changes) && pair(&changes[i], &changes[i+1]) {
			n = 2
		}
		if err := s.plan(ctx, p, changes[i:i+n]); err != nil {
			return sink.HeldAt(err, changes[i].Commit)
		}
		i += n
	}
	return s.execute(ctx, p)
}

// pair tells whether two changes are the halves of a key change.
func pair(a, b *change.Change) bool {
	return a.Op == change.Delete && a.OtherKey != nil && b.Op == change.Create && b.OtherKey != nil &&
		a.Table == b.Table && b.Ordinal == a.Ordinal+1
}

// plan adds one change, or the two halves of a key change, to the plan.
func (s *Sink) plan(ctx context.Context, p *plan, cs []change.Change) error {
	c := &cs[0]
	if c.Table == nil || c.Op == change.Message {
		return nil
	}
	tp, err := s.tablePlan(ctx, p, c.Table, c.Commit)
	if err != nil {
		return err
	}
	if c.Keep != tp.keep && tp.keep != 0 && c.Keep != 0 {
		if err := s.execute(ctx, p); err != nil {
			return err
		}
		tp = p.table(tp.t)
	}
	switch {
	case c.Op == change.Truncate:
		return s.truncate(ctx, p, tp, c)
	case c.Op == change.Sweep:
		return s.sweep(ctx, p, tp, c)
	case len(tp.t.key) == 0:
		return tp.append(c)
	case len(cs) == 2:
		return s.move(ctx, p, tp, c, &cs[1])
	case c.Op == change.Delete:
		return s.remove(ctx, p, tp, c)
	case c.Op == change.Await:
		if err := tp.t.check(c.Before, "the key"); err != nil {
			return err
		}
		s.awaits[tp.t.name] = true
		tp.await(c.Before, c.Keep)
		return nil
	}
	return tp.write(c)
}

// remove plans a deletion. A row that the plan still holds must be in the table before it can move to
// the archive.
func (s *Sink) remove(ctx context.Context, p *plan, tp *tablePlan, c *change.Change) error {
	if err := tp.t.check(c.Before, "the old row"); err != nil {
		return err
	}
	if tp.t.opt.Deletes == Archive {
		if e := tp.find(c.Before); e != nil && (e.row != nil || e.gone) {
			if err := s.execute(ctx, p); err != nil {
				return err
			}
			tp = p.table(tp.t)
		}
	}
	tp.remove(c)
	return nil
}

// tablePlan finds the plan of a table. What is planned for an older version of it goes first, and so
// does everything when a version is new: making it ready reads and changes the catalog.
func (s *Sink) tablePlan(ctx context.Context, p *plan, tb *change.Table, commit change.LSN) (*tablePlan, error) {
	t := s.ready(tb)
	if t == nil || t.dest.current != t {
		if err := s.execute(ctx, p); err != nil {
			return nil, err
		}
		var err error
		if t, err = s.target(ctx, tb); err != nil {
			return nil, s.amid(err, tb, commit)
		}
		t.dest.current = t
	}
	t.dest.commit = commit
	return p.table(t), nil
}

// amid adds to a hold that rows of the same transaction stand before the change of schema.
func (s *Sink) amid(err error, tb *change.Table, commit change.LSN) error {
	var held *sink.HeldError
	opt := s.tables[tableID(tb.Schema, tb.Name)]
	if opt == nil || !errors.As(err, &held) || held.Why != sink.HoldSchema {
		return err
	}
	if d := s.dests[qualified(opt.ToSchema, opt.ToName)]; d != nil && commit != 0 && d.commit == commit {
		held.Reason += ". Rows of the same transaction come before the change, in the old shape, and do not fit once the statements were run by hand: set evolve: all for this sink and start it again, until it has passed"
	}
	return err
}

// write plans a create, an update or a read row.
func (tp *tablePlan) write(c *change.Change) error {
	row := c.After
	if c.Op == change.Update && len(c.Before) == len(row) {
		row = fill(row, c.Before)
	}
	if err := tp.t.checkNew(row); err != nil {
		return err
	}
	if tp.t.unknown(row) {
		e := tp.find(row)
		switch {
		case c.Early && (e == nil && tp.emptied || e != nil && (e.marked || e.gone && e.row == nil)):
			return nil // the row is not there yet
		case e != nil && e.marked && tp.t.opt.Filtered:
			tp.await(row, c.Keep)
			return nil
		case e != nil && e.marked:
			return unsent(tp.t, row) // it comes back, and what is kept of it is what it was when it left
		}
	}
	tp.put(c.Op, row, c.Early, c.Keep)
	return nil
}

// append plans a change of a table without key.
func (tp *tablePlan) append(c *change.Change) error {
	old := c.Op == change.Update || c.Op == change.Delete
	if old && c.BeforeKind != change.BeforeFull {
		return refuse("run at the source: ALTER TABLE "+qualified(tp.t.table.Schema, tp.t.table.Name)+" REPLICA IDENTITY FULL, or add a primary key",
			"%s has no key, and the old row did not travel in the log", tp.t.table.QualifiedName())
	}
	if old {
		if err := tp.t.check(c.Before, "the old row"); err != nil {
			return err
		}
	}
	if c.Op != change.Delete {
		if err := tp.t.checkNew(c.After); err != nil {
			return err
		}
	}
	tp.ops = append(tp.ops, c)
	return nil
}

// truncate plans a TRUNCATE by the table's policies. Rows are deleted, not truncated: TRUNCATE empties
// a table for readers too whose snapshot is older (PostgreSQL manual, 13.6), who would then see half
// of a transaction. Before, when it is there, holds values of the rows that are meant: other
// sources fill the table too.
func (s *Sink) truncate(ctx context.Context, p *plan, tp *tablePlan, c *change.Change) error {
	switch {
	case !tp.t.opt.Truncate && !c.Approved:
		return &sink.HeldError{Table: tp.t.opt.From, Why: sink.HoldTruncate, Reason: "it was truncated at the source and the sink's truncate is refuse: " +
			"nothing was changed at the destination. Set truncate: apply for the table and start the sink again to delete the rows of " + tp.t.name +
			", or put the rows back at the source"}
	case tp.t.opt.Deletes == Hard && c.Before == nil:
		tp.empty()
		return nil
	}
	if err := s.execute(ctx, p); err != nil {
		return err
	}
	s.cancelWaits(tp.t, c)
	if tp.t.opt.Deletes == Ignore {
		return nil
	}
	sql, args := tp.t.truncateSQL(c)
	s.queue.add(sql, args, expect{t: tp.t, rows: -1})
	return nil
}

// execute queues the statements of a plan, and sends them as they add up.
func (s *Sink) execute(ctx context.Context, p *plan) error {
	for _, tp := range p.tables {
		err := s.executeTable(ctx, tp)
		if err != nil {
			return s.wrap(doApply, tp.t.name, err)
		}
	}
	p.reset()
	return nil
}

// executeTable writes one table: what goes first, so that its keys and unique values are free.
func (s *Sink) executeTable(ctx context.Context, tp *tablePlan) error {
	if tp.emptied {
		s.queue.add("DELETE FROM "+tp.t.name, nil, expect{t: tp.t, rows: -1})
		s.cancelWaits(tp.t, &change.Change{})
	}
	if len(tp.t.key) == 0 {
		return s.executeOps(ctx, tp)
	}
	tp.sort()
	if err := s.writeRows(ctx, tp); err != nil {
		return err
	}
	if err := s.waitRows(ctx, tp); err != nil {
		return err
	}
	return s.keepRows(ctx, tp)
}

func (s *Sink) writeRows(ctx context.Context, tp *tablePlan) error {
	if done, err := s.copyNew(ctx, tp); done || err != nil {
		return err
	}
	if err := s.deleteRows(ctx, tp); err != nil {
		return err
	}
	if err := s.updateRows(ctx, tp); err != nil {
		return err
	}
	if err := s.upsertRows(ctx, tp); err != nil {
		return err
	}
	return s.markRows(ctx, tp)
}
