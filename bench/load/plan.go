package load

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// step is one operation of a transaction, with its values chosen.
type step func(ctx context.Context, tx pgx.Tx) error

// plan is a transaction before it is tried.
type plan struct {
	steps    []step
	rollBack bool
}

// share is how often, of a hundred, something happens.
const (
	shareRollBack  = 8
	shareSavepoint = 12
	shareTruncate  = 1
	shareLong      = 2
)

// plan draws the next transaction: mostly one to eight steps, now and then a long one.
func (s *session) plan() plan {
	n := 1 + s.random.IntN(8)
	if s.chance(shareLong) {
		n = 100 + s.random.IntN(200)
	}
	p := plan{rollBack: s.chance(shareRollBack)}
	for range n {
		p.steps = append(p.steps, s.savepoint(s.operate()))
	}
	return p
}

func (s *session) chance(percent int) bool { return s.random.IntN(100) < percent }

// savepoint puts a step into a subtransaction now and then, half of which are rolled back while their
// transaction goes on.
func (s *session) savepoint(inner step) step {
	if !s.chance(shareSavepoint) {
		return inner
	}
	undo := s.chance(50)
	return func(ctx context.Context, tx pgx.Tx) error {
		s.stats.savepoints.Add(1)
		sub, err := tx.Begin(ctx)
		if err != nil {
			return err
		}
		if err := inner(ctx, sub); err != nil {
			return err
		}
		if undo {
			return sub.Rollback(ctx)
		}
		return sub.Commit(ctx)
	}
}

// operation draws one step.
func (s *session) operation() step {
	if s.chance(shareTruncate) {
		return s.truncate()
	}
	switch s.random.IntN(10) {
	case 0, 1, 2:
		return s.transfer()
	case 3, 4, 5:
		return s.inserting()
	case 6, 7:
		return s.update()
	case 8:
		return s.changeKey()
	default:
		return s.remove()
	}
}

// run makes a step of a statement.
func run(sql string, args ...any) step {
	return func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	}
}

// exactlyOne is run for a statement that must hit one row, or the transaction is rolled back.
func exactlyOne(sql string, args ...any) step {
	return func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, args...)
		if err == nil && tag.RowsAffected() != 1 {
			return errChanged
		}
		return err
	}
}

// inOrder is one step of several.
func inOrder(steps ...step) step {
	return func(ctx context.Context, tx pgx.Tx) error {
		for _, s := range steps {
			if err := s(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	}
}
