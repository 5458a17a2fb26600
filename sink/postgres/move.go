package postgres

import (
	"context"
	"errors"
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// move plans a key change: the old row goes by the delete policy, the new one takes over the values
// that did not travel. They come from the batch when it holds them, else from the destination.
func (s *Sink) move(ctx context.Context, p *plan, tp *tablePlan, del, cre *change.Change) error {
	if err := errors.Join(tp.t.check(del.Before, "the old row"), tp.t.checkNew(cre.After)); err != nil {
		return err
	}
	row := fill(cre.After, del.Before)
	if tp.t.unknown(row) {
		if e := tp.find(del.Before); e != nil && !e.marked && e.wait != waitBegins {
			row = fill(row, e.row)
		}
	}
	if tp.t.unknown(row) {
		carried, err := s.carry(ctx, tp, row, del.Before)
		switch {
		case err != nil:
			return err
		case carried == nil && !cre.Early && !s.lenient(tp.t):
			return unsent(tp.t, row)
		}
		row = carried
	}
	if err := s.remove(ctx, p, tp, del); err != nil {
		return err
	}
	switch {
	case row != nil:
		p.table(tp.t).put(change.Update, row, false, cre.Keep)
	case !cre.Early:
		s.awaits[tp.t.name] = true
		p.table(tp.t).await(cre.After, cre.Keep)
	}
	return nil
}

// carry reads the unknown values of row from the destination's row under the old key, or under the
// new one, where they are when the same batch is applied a second time. It gives nil when neither is there.
func (s *Sink) carry(ctx context.Context, tp *tablePlan, row, old change.Row) (change.Row, error) {
	if e := tp.find(old); tp.emptied || e != nil && e.wait == waitBegins {
		return nil, nil
	}
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	for _, id := range []change.Row{old, row} {
		values, err := s.lookUp(ctx, tp.t, row, id)
		if err != nil {
			return nil, err
		}
		if values != nil {
			return fill(row, values), nil
		}
	}
	return nil, nil
}

// lookUp reads the columns that are unknown in row from the destination's row with id's key; nil when
// there is none, or when it is kept as deleted and its values are old.
func (s *Sink) lookUp(ctx context.Context, t *target, row, id change.Row) (change.Row, error) {
	var missing []int
	for i := range t.cols {
		if !known(row[i]) {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return row, nil
	}
	var args []any
	where := list(t.key, " AND ", func(i, k int) string {
		args = append(args, string(id[k].Data))
		return "x." + t.cols[k].quoted + " = $" + strconv.Itoa(i+1) + "::text::" + t.cols[k].typ
	})
	found, err := s.query(ctx, "SELECT "+t.names(missing)+
		" FROM "+t.name+" AS x WHERE "+where+t.current("x")+s.unawaited(t), args...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	out := make(change.Row, len(row))
	for i, k := range missing {
		out[k] = change.Value{Format: change.Null}
		if v := found[0][i]; v != nil {
			out[k] = change.Value{Format: change.Text, Data: v}
		}
	}
	return out, nil
}

// Find implements sink.Finder.
func (s *Sink) Find(ctx context.Context, tb *change.Table, id change.Row) (change.Row, error) {
	if s.conn == nil {
		return nil, s.wrap("ask", "", refuse("", "it was not resumed"))
	}
	s.begin()
	row, err := s.find(ctx, tb, id)
	if len(s.refusals) > 0 {
		err = s.refusedError() // the answer is not what it would be
	}
	if err != nil {
		err = s.wrap("ask", qualified(tb.Schema, tb.Name), err)
		if dropErr := s.rollback(ctx); dropErr != nil {
			s.disconnect()
		}
	}
	return row, err
}

func (s *Sink) find(ctx context.Context, tb *change.Table, id change.Row) (change.Row, error) {
	t, err := s.target(ctx, tb)
	if err != nil {
		return nil, err
	}
	if err := t.check(id, "the key"); err != nil {
		return nil, err
	}
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	return s.lookUp(ctx, t, make(change.Row, len(t.table.Columns)), id)
}

// unsent is the error for a row whose unchanged values are not at the destination either.
func unsent(t *target, row change.Row) error {
	if t.opt.Filtered { // without a key it cannot be asked for
		return &sink.HeldError{Table: t.opt.From, Why: sink.HoldValues, Reason: "the row " + t.shown(row) + " starts to match where, and unchanged TOASTed values of it did not travel in the log: " +
			t.name + " does not hold them. Run at the source: ALTER TABLE ... REPLICA IDENTITY FULL, then let this sink begin with a new copy of the table"}
	}
	names := ""
	for i, c := range t.cols {
		if !known(row[i]) {
			names += " " + c.quoted
		}
	}
	return refuseRow(sink.ClassMissing, "copy the row from the source, or update these columns of it at the source before the change",
		"the destination has no row %s, and the change does not hold the unchanged values of%s", t.shown(row), names)
}
