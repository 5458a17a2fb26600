package load

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// migration is a transaction that alters tables and writes rows between.
type migration struct {
	sql      []string
	rollBack bool
	// settle says that capture must have read everything before.
	settle bool
	// after is what the tables are then.
	after *model
}

// shares of a hundred.
const (
	shareLabel = 8  // migrations that add a value to the enum type
	shareUndo  = 15 // alterations in a subtransaction that is rolled back
)

// migration draws the next one: mostly some alterations with rows before, between and after them.
func (s *session) migration(m *model, publication string) *migration {
	before, work := m.clone(), m.clone()
	if s.chance(shareLabel) {
		label := work.give("mood ")
		work.labels = append(work.labels, label)
		return &migration{sql: []string{"alter type mood add value '" + label + "'"}, after: work}
	}
	mig := &migration{rollBack: s.chance(shareRollBack)}
	for range 1 + s.random.IntN(3) {
		if s.chance(shareUndo) {
			undone := work.clone()
			a := s.alteration(undone, publication)
			mig.sql = append(append(append(mig.sql, "savepoint undone"), s.altered(undone, a)...), "rollback to savepoint undone")
			continue
		}
		a := s.alteration(work, publication)
		if a.on.unread.refuses(a) {
			if len(mig.sql) > 0 {
				break
			}
			mig.settle = true
			before.read()
			work.read()
		}
		mig.sql = append(mig.sql, s.altered(work, a)...)
	}
	if mig.after = work; mig.rollBack {
		mig.after = before
	}
	return mig
}

// altered gives an alteration's statements between others, and a row of the table as it is then.
func (s *session) altered(m *model, a *alteration) (sql []string) {
	if s.chance(50) {
		sql = append(sql, s.write(m))
	}
	sql = append(sql, a.sql...)
	a.apply()
	a.on.unread.note(a)
	if slices.Contains(m.relations, a.on) {
		sql = append(sql, s.insertMark(a.on, m)...)
	}
	for range s.random.IntN(3) {
		sql = append(sql, s.write(m))
	}
	return sql
}

// tries is how often a migration may lose against writers: for a lock, or in a deadlock.
const tries = 200

// migrate runs a migration until it is through.
func (s *session) migrate(ctx context.Context, conn *pgx.Conn, mig *migration) error {
	var err error
	for range tries {
		if err = s.try(ctx, conn, mig); err == nil || ctx.Err() != nil {
			return err
		}
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || !expected(refused.Code) {
			break
		}
	}
	return fmt.Errorf("cannot alter tables with seed %d: %w", s.cfg.Seed, err)
}

func (s *session) try(ctx context.Context, conn *pgx.Conn, mig *migration) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, sql := range mig.sql {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		if mig.rollBack {
			return errDecided
		}
		return nil
	})
	if errors.Is(err, errDecided) {
		return nil
	}
	return err
}
