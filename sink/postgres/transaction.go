package postgres

import (
	"context"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// begin opens the destination transaction with the first statement that follows. Constraints that may
// be deferred are, since rows of several tables are written table by table.
func (s *Sink) begin() {
	if s.tx {
		return
	}
	s.tx = true
	s.queue.add("BEGIN ISOLATION LEVEL READ COMMITTED", nil, anyRows)
	s.queue.add("SET CONSTRAINTS ALL DEFERRED", nil, anyRows)
}

// end commits. A deferred constraint may still fail here, which leaves nothing behind.
func (s *Sink) end(ctx context.Context) error {
	r := s.conn.ExecParams(ctx, "COMMIT", nil, nil, nil, nil).Read()
	if r.Err == nil && r.CommandTag.String() != "COMMIT" {
		return refuse("see the destination's log", "the server answered %s to COMMIT", r.CommandTag)
	}
	return r.Err
}

// idle is the transaction status of a session outside a transaction (PostgreSQL manual, 55.7,
// ReadyForQuery).
const idle = 'I'

// rollback drops what is open and keeps the session.
func (s *Sink) rollback(ctx context.Context) error {
	s.forget()
	if s.conn.TxStatus() != idle {
		if _, err := s.exec(ctx, "ROLLBACK"); err != nil {
			return err
		}
	}
	// Also shows that the session still answers.
	_, err := s.exec(ctx, "DEALLOCATE ALL")
	return err
}

// mark sends what is queued and sets the point to which the next piece can go back.
func (s *Sink) mark(ctx context.Context) error {
	if s.pieces > 0 {
		s.queue.add("RELEASE SAVEPOINT sluice_piece", nil, anyRows)
	}
	s.queue.add("SAVEPOINT sluice_piece", nil, anyRows)
	err := s.flush(ctx)
	if err == nil {
		s.pieces++
	}
	return err
}

// goBack undoes a piece, or the whole batch, that met first, so that it can be played change by change
// in commit order. Either the order was the fault and that succeeds, or it stops exactly at the row
// that is.
func (s *Sink) goBack(ctx context.Context, first error) error {
	s.log.Info("playing a batch change by change", "because", first)
	if s.pieces == 0 {
		held := s.held
		err := s.rollback(ctx)
		s.held = held
		s.begin()
		return err
	}
	return s.undo(ctx, "sluice_piece")
}

// undo goes back to a savepoint, which stays, and forgets what was made ready since.
func (s *Sink) undo(ctx context.Context, savepoint string) error {
	s.queue.reset()
	s.progress = ""
	s.targets, s.dests, s.keeps = map[*change.Table]*target{}, map[string]*dest{}, map[string]keeping{}
	s.scratch = newPlan()
	return s.execAll(ctx, []string{"ROLLBACK TO SAVEPOINT " + savepoint, "DEALLOCATE ALL"})
}

// join puts a half of a key change that waited before the changes of b, and keeps back the half that
// ends an open batch: its other half needs values of the row before it is gone.
func (s *Sink) join(b *sink.Batch) []change.Change {
	changes := b.Changes
	if s.held != nil {
		changes = append([]change.Change{*s.held}, changes...)
		s.held = nil
	}
	last := len(changes) - 1
	if b.Open && last >= 0 && changes[last].Op == change.Delete && changes[last].OtherKey != nil {
		s.held = cloneChange(&changes[last])
		changes = changes[:last]
	}
	return changes
}

// cloneChange copies all that a change points to, its table apart.
func cloneChange(c *change.Change) *change.Change {
	d := *c
	d.Before, d.After, d.OtherKey = cloneRow(c.Before), cloneRow(c.After), cloneRow(c.OtherKey)
	return &d
}

func cloneRow(r change.Row) change.Row {
	if r == nil {
		return nil
	}
	out := make(change.Row, len(r))
	for i, v := range r {
		out[i] = change.Value{Format: v.Format, Data: append([]byte{}, v.Data...)}
	}
	return out
}
