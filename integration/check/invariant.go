package check

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Invariant is something that every reader of a destination must see at every moment.
type Invariant struct {
	DSN string
	// Query gives one bigint in one statement, hence of one moment.
	Query string
	Want  int64
	// Sink is the row of sluice.progress to look at in the same statement: before it says complete,
	// nothing is expected.
	Sink string
	// Every is the pause between two looks; 0: 2 ms.
	Every time.Duration
	// States counts Sightings.States up while it watches, for a caller that waits for some; may be nil.
	States *atomic.Int64
}

// Sightings is what a reader saw.
type Sightings struct {
	Looks int64 // with a complete destination
	// States counts the different checkpoints seen, so that a test can tell that it looked in between.
	States    int64
	Violation *Violation // the first
}

// Watch looks again and again until the context ends, then tells what it saw. Restarts of the server and
// tables that do not exist yet are waited out.
func (i Invariant) Watch(ctx context.Context) (Sightings, error) {
	if i.Every == 0 {
		i.Every = 2 * time.Millisecond
	}
	tick := time.NewTicker(i.Every)
	defer tick.Stop()
	w := watch{Invariant: i}
	defer w.hangUp()
	for {
		if err := w.look(ctx); err != nil {
			return w.seen, fmt.Errorf("cannot look at the destination: %w", err)
		}
		select {
		case <-ctx.Done():
			return w.seen, nil
		case <-tick.C:
		}
	}
}

type watch struct {
	Invariant
	conn *pgx.Conn
	last string
	seen Sightings
}

func (w *watch) hangUp() {
	if w.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.conn.Close(ctx) // it only read
	}
}

func (w *watch) look(ctx context.Context) error {
	if w.conn == nil || w.conn.IsClosed() {
		conn, err := pgx.Connect(ctx, w.DSN)
		if err != nil {
			return nil // restarting
		}
		w.conn = conn
	}
	var lsn string
	var complete bool
	var got int64
	sql := `select commit_lsn::text, complete, (` + w.Query + `)::bigint from sluice.progress where sink = $1`
	err := w.conn.QueryRow(ctx, sql, w.Sink).Scan(&lsn, &complete, &got)
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case errors.As(err, &refused) && !notYet(refused.Code):
		return err
	case err != nil || !complete:
		return nil
	}
	w.count(lsn, got)
	return nil
}

// notYet tells errors that pass: no such table, column or schema yet, the server stopping or starting.
func notYet(code string) bool {
	return code == "42P01" || code == "42703" || code == "3F000" || code[:2] == "57" || code[:2] == "08"
}

func (w *watch) count(lsn string, got int64) {
	w.seen.Looks++
	if lsn != w.last {
		w.seen.States++
		if w.States != nil {
			w.States.Add(1)
		}
		w.last = lsn
	}
	if got != w.Want && w.seen.Violation == nil {
		v := violation("invariant", "at commit_lsn %s the destination shows %d, not %d: half a transaction is visible", lsn, got, w.Want)
		w.seen.Violation = &v
	}
}
