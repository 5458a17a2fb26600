package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

const (
	// siftRows are played under one savepoint. After 64 a session's subtransactions are slower to look up for all
	// others (PostgreSQL's source, PGPROC_MAX_CACHED_SUBXIDS).
	siftRows = 64
	// maxRefusals bounds what is noted in one destination transaction.
	maxRefusals = 1000
)

// sift plays changes one by one, in commit order. Either the order of the statements was the fault and all succeed, or the
// rows that the destination refuses are noted and left out: nothing is committed then, but what comes behind is
// looked at too, so that a batch is not read again for each of them.
func (s *Sink) sift(ctx context.Context, changes []change.Change) error {
	for len(changes) > 0 {
		n := min(siftRows, len(changes))
		if n < len(changes) && pair(&changes[n-1], &changes[n]) {
			n++
		}
		if err := s.siftRun(ctx, changes[:n]); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// siftRun plays a few changes, and again without each that is refused.
func (s *Sink) siftRun(ctx context.Context, changes []change.Change) error {
	for {
		s.queue.add("SAVEPOINT sluice_row", nil, anyRows)
		at, n, err := s.oneByOne(ctx, changes)
		if err == nil {
			s.queue.add("RELEASE SAVEPOINT sluice_row", nil, anyRows)
			return nil
		}
		if !s.aboutRow(err, &changes[at]) {
			return err
		}
		if err := errors.Join(s.undo(ctx, "sluice_row"), s.execAll(ctx, []string{"RELEASE SAVEPOINT sluice_row"})); err != nil {
			return err
		}
		mendable, e := s.diagnose(ctx, err)
		switch {
		case e != nil:
			return e
		case mendable:
			return err // by a label, when the transaction is over
		}
		s.refusals = append(s.refusals, s.refusal(err, &changes[at+n-1]))
		if len(s.refusals) == maxRefusals {
			return s.refusedError()
		}
		changes = slices.Delete(slices.Clone(changes), at, at+n)
	}
}

// oneByOne executes each change (and each key change, which is two) by itself. The error names the row of the n
// changes at the index.
func (s *Sink) oneByOne(ctx context.Context, changes []change.Change) (at, n int, err error) {
	p := s.scratch
	p.reset()
	for at = 0; at < len(changes); at += n {
		n = 1
		if at+1 < len(changes) && pair(&changes[at], &changes[at+1]) {
			n = 2
		}
		if err = s.plan(ctx, p, changes[at:at+n]); err == nil {
			err = s.execute(ctx, p)
		}
		if err == nil {
			err = s.flush(ctx)
		}
		if err != nil {
			return at, n, s.atRow(sink.HeldAt(err, changes[at].Commit), &changes[at+n-1])
		}
	}
	return at, n, nil
}

// diagnose finds the column at fault, or tells that a value can be added to an enum type. Its questions may fail.
func (s *Sink) diagnose(ctx context.Context, err error) (mendable bool, failed error) {
	const back = "ROLLBACK TO SAVEPOINT sluice_row"
	if failed = s.execAll(ctx, []string{"SAVEPOINT sluice_row"}); failed != nil {
		return false, failed
	}
	mendable = s.lacking(ctx, err) != nil
	failed = s.execAll(ctx, []string{back})
	if failed == nil && !mendable {
		failed = s.locate(ctx, err, func() error { return s.execAll(ctx, []string{back}) })
	}
	return mendable, errors.Join(failed, s.execAll(ctx, []string{"RELEASE SAVEPOINT sluice_row"}))
}

// blame finds the rows that a deferred constraint refused at the commit, by playing all once more with every constraint
// checked at once. Rows that come too early, before what they refer to, pass when they are played again behind the
// others. It gives met where that shows nothing.
func (s *Sink) blame(ctx context.Context, changes []change.Change, met error) error {
	s.log.Info("looking for the rows that a deferred constraint refuses", "because", met)
	if err := s.rollback(ctx); err != nil {
		return err
	}
	s.begin()
	s.queue.add("SET CONSTRAINTS ALL IMMEDIATE", nil, anyRows)
	for {
		s.refusals = nil
		var refused *sink.RefusedError
		if err := s.sift(ctx, changes); errors.As(err, &refused) {
			return met
		} else if err != nil {
			return err
		}
		switch suspects := s.refusedOf(changes); {
		case len(suspects) == 0:
			return met
		case len(suspects) == len(changes):
			return s.refusedError()
		default:
			changes = suspects
		}
	}
}

// refusedOf gives the changes that were refused, key changes whole.
func (s *Sink) refusedOf(changes []change.Change) (out []change.Change) {
	refused := map[change.Position]bool{}
	for _, r := range s.refusals {
		refused[r.At] = true
	}
	for i := range changes {
		half := i+1 < len(changes) && pair(&changes[i], &changes[i+1]) && refused[changes[i+1].Position()]
		if half || refused[changes[i].Position()] {
			out = append(out, changes[i])
		}
	}
	return out
}

// refusedError gives what was noted in the transaction.
func (s *Sink) refusedError() error { return &sink.RefusedError{Refusals: slices.Clone(s.refusals)} }

// class tells of which kind a fault is that may lie in a row; empty for others. That an index cannot take so large a value is
// 54000 (program_limit_exceeded).
func class(err error) sink.Class {
	var own *refusal
	code := sqlState(err)
	switch {
	case errors.Is(err, errMissingRow):
		return sink.ClassMissing
	case errors.As(err, &own):
		return own.row
	case code == "54000", len(code) == 5 && code[:2] == "22":
		return sink.ClassData
	case len(code) == 5 && code[:2] == "23":
		return sink.ClassConstraint
	case code == "P0001":
		return sink.ClassRule
	}
	return ""
}

// aboutRow tells whether a fault lies in the row of a change that was executed by itself.
func (s *Sink) aboutRow(err error, c *change.Change) bool {
	var e *Error
	return class(err) != "" && errors.As(err, &e) && e.Doing == doApply && c.Op != change.Truncate && c.Op != change.Sweep
}

// refusal describes a fault of a change.
func (s *Sink) refusal(err error, c *change.Change) sink.Refusal {
	r := sink.Refusal{At: c.Position(), Class: class(err), Code: sqlState(err), Err: err}
	var e *Error
	if !errors.As(err, &e) {
		return r
	}
	r.Reason, r.Fix = e.where()+e.Err.Error(), e.advised
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Detail != "" && (pg.Code == "23503" || pg.Code == "23505") {
		r.Reason += ": " + pg.Detail
	}
	e.t, e.row = nil, nil // they are views of the batch
	return r
}
