package load

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Config says how a random workload runs.
type Config struct {
	DSN      string
	Seed     uint64 // 0: drawn
	Sessions int    // concurrent writers; 0: 4
	// Transactions is how many each session tries, committed or not; 0: until the context ends. Equal
	// seeds try equal transactions in each session; how sessions interleave is the server's choice.
	Transactions int
	PerSecond    int // tried by all sessions together; 0: as many as go
	Log          *slog.Logger
}

// Workload is a random workload. Run it once.
type Workload struct {
	cfg   Config
	stats counters
}

// Stats counts what a workload did.
type Stats struct {
	Seed                              uint64
	Committed, RolledBack, Lost       int64 // Lost: the connection ended in the middle, the outcome is the server's
	Operations, Truncates, Savepoints int64
}

type counters struct {
	committed, rolledBack, lost, operations, truncates, savepoints atomic.Int64
}

// New gives a workload that has not begun.
func New(cfg Config) *Workload {
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	if cfg.Sessions == 0 {
		cfg.Sessions = 4
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Workload{cfg: cfg}
}

// Seed is the seed in force: with the same one the workload tries the same.
func (w *Workload) Seed() uint64 { return w.cfg.Seed }

// Stats may be asked at any time.
func (w *Workload) Stats() Stats {
	return Stats{
		Seed:      w.cfg.Seed,
		Committed: w.stats.committed.Load(), RolledBack: w.stats.rolledBack.Load(), Lost: w.stats.lost.Load(),
		Operations: w.stats.operations.Load(), Truncates: w.stats.truncates.Load(), Savepoints: w.stats.savepoints.Load(),
	}
}

// String is one line for a test's log.
func (s Stats) String() string {
	return fmt.Sprintf("seed %d: %d transactions committed, %d rolled back, %d lost; %d operations, %d truncates, %d savepoints",
		s.Seed, s.Committed, s.RolledBack, s.Lost, s.Operations, s.Truncates, s.Savepoints)
}

// Prepare creates the tables, which must be absent, and their first rows in one transaction.
func (w *Workload) Prepare(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, w.cfg.DSN)
	if err != nil {
		return fmt.Errorf("cannot connect to prepare the workload: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, t := range Tables() {
			for _, sql := range t.DDL {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return fmt.Errorf("table %s: %w", t.Name, err)
				}
			}
		}
		return w.firstRows(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("cannot prepare the workload: %w", err)
	}
	return nil
}

// firstRows opens the accounts and lets a session without partners write the rest.
func (w *Workload) firstRows(ctx context.Context, tx pgx.Tx) error {
	for _, table := range []string{"checking", "savings"} {
		sql := fmt.Sprintf("insert into %s select i, %d from generate_series(1, %d) i", table, opening, accounts)
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	s := w.session(0)
	for range 200 {
		if err := s.insert(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// Run writes until the context ends or every session tried its transactions. The transaction under way
// is ended properly, and a lost connection is made again, so servers may be restarted meanwhile.
func (w *Workload) Run(ctx context.Context) error {
	w.cfg.Log.Info("random workload", "seed", w.cfg.Seed, "sessions", w.cfg.Sessions)
	group, ctx := errgroup.WithContext(ctx)
	for number := 1; number <= w.cfg.Sessions; number++ {
		s := w.session(uint64(number))
		group.Go(func() error { return s.run(ctx) })
	}
	return group.Wait()
}

func (w *Workload) session(number uint64) *session {
	s := &session{Workload: w, number: number, random: rand.New(rand.NewPCG(w.cfg.Seed, number)), refused: expected}
	s.operate = s.operation
	return s
}

// pace is the time between two transactions of one session; 0 for no pause.
func (w *Workload) pace() time.Duration {
	if w.cfg.PerSecond == 0 {
		return 0
	}
	return time.Second * time.Duration(w.cfg.Sessions) / time.Duration(w.cfg.PerSecond)
}
