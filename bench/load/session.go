package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// session is one writer. Its choices come from its own generator only and never from what the server
// answers, so that the same seed tries the same.
type session struct {
	*Workload
	number uint64
	random *rand.Rand
	// operate draws one step of a transaction.
	operate func() step
	// refused tells refusals that are no fault of the workload.
	refused func(code string) bool
}

// transactionTime bounds a transaction that waits for locks or for a dying server.
const transactionTime = 30 * time.Second

func (s *session) run(ctx context.Context) error {
	var conn *pgx.Conn
	defer func() { hangUp(conn) }()
	wait := ticker(s.pace())
	defer wait.Stop()
	for tried := 0; s.cfg.Transactions == 0 || tried < s.cfg.Transactions; tried++ {
		if ctx.Err() != nil {
			return nil
		}
		if conn == nil || conn.IsClosed() {
			if conn = s.connect(ctx); conn == nil {
				return nil
			}
		}
		if err := s.transaction(ctx, conn); err != nil {
			return err
		}
		if s.pace() > 0 {
			await(ctx, wait)
		}
	}
	return nil
}

func hangUp(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing is open on it
}

// connect tries until it has a connection, or gives nil when ctx ends.
func (s *session) connect(ctx context.Context) *pgx.Conn {
	again := ticker(100 * time.Millisecond)
	defer again.Stop()
	for ctx.Err() == nil {
		conn, err := s.dial(ctx)
		if err == nil {
			return conn
		}
		s.cfg.Log.Debug("no connection", "session", s.number, "error", err)
		await(ctx, again)
	}
	return nil
}

// dial makes a connection that gives up a lock soon: sessions often want each other's rows, and the
// server looks for deadlocks only once a second.
func (s *session) dial(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(s.cfg.DSN)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["lock_timeout"] = "200ms"
	return pgx.ConnectConfig(ctx, cfg)
}

// errChanged ends a transaction whose rows another session has moved: it is rolled back.
var errChanged = errors.New("the rows are not there any more")

// errDecided ends a transaction that the dice rolled back.
var errDecided = errors.New("rolled back on purpose")

// transaction tries one transaction of one to eight steps. What the server refuses for the sake of
// other sessions (deadlock, equal key, cancelled by a restart) is rolled back and counted.
func (s *session) transaction(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionTime)
	defer cancel()
	plan := s.plan()
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, step := range plan.steps {
			if err := step(ctx, tx); err != nil {
				return err
			}
		}
		if plan.rollBack {
			return errDecided
		}
		return nil
	})
	return s.count(err, len(plan.steps))
}

func (s *session) count(err error, steps int) error {
	var refused *pgconn.PgError
	switch {
	case err == nil:
		s.stats.committed.Add(1)
		s.stats.operations.Add(int64(steps))
	case errors.Is(err, errDecided), errors.Is(err, errChanged):
		s.stats.rolledBack.Add(1)
	case errors.As(err, &refused) && s.refused(refused.Code):
		s.stats.rolledBack.Add(1)
	case errors.As(err, &refused):
		return fmt.Errorf("cannot run the workload with seed %d in session %d: %w", s.cfg.Seed, s.number, err)
	default:
		s.stats.lost.Add(1)
		s.cfg.Log.Debug("transaction lost", "session", s.number, "error", err)
	}
	return nil
}

// expected tells refusals that come of concurrency and restarts (manual, appendix A): unique_violation,
// serialization, deadlock, lock timeout, and the classes of connection and of operator intervention.
func expected(code string) bool {
	switch code {
	case "23505", "40001", "40P01", "55P03":
		return true
	}
	return code[:2] == "08" || code[:2] == "57"
}

// ticker is a time.Ticker that may have no interval.
func ticker(every time.Duration) *time.Ticker {
	if every <= 0 {
		every = time.Hour
	}
	return time.NewTicker(every)
}

func await(ctx context.Context, t *time.Ticker) {
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
