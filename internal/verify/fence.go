package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/retry"
)

// errIncomplete says that the destination does not hold everything yet. That is over soon when it waits for values that
// did not travel.
var errIncomplete = errors.New("the destination is not complete: first copies of its tables or their repair after a gap are under way (sluice snapshot list shows how far), or it waits for rows (sluice.awaited)")

// complete calls f until it does not meet a destination that is not complete.
func (v *Verifier) complete(ctx context.Context, f func() error) error {
	pause := retry.Backoff{First: 5 * time.Millisecond, Most: 250 * time.Millisecond}
	told := false
	w := v.watch()
	for began := time.Now(); ; {
		err := f()
		if !errors.Is(err, errIncomplete) || time.Since(began) > v.o.Patience {
			return err
		}
		if err := w.stands(ctx); err != nil {
			return err
		}
		if !told && time.Since(began) > tellEvery {
			told = true
			v.o.Log.Info("verify waits", "because", err)
		}
		if err := retry.Wait(ctx, pause.Next()); err != nil {
			return err
		}
	}
}

// stalls is how long a destination stands still before somebody is told: heartbeats move it each second.
const stalls = 2 * time.Second

// watch is a look at a destination that is waited for.
type watch struct {
	v     *Verifier
	since time.Time // when it moved last, or somebody was told
}

func (v *Verifier) watch() *watch { return &watch{v, time.Now()} }

func (w *watch) moves() { w.since = time.Now() }

// stands tells, when it has stood still for long enough, that it does.
func (w *watch) stands(ctx context.Context) error {
	if w.v.o.Stalled == nil || time.Since(w.since) < stalls {
		return nil
	}
	err := w.v.o.Stalled(ctx)
	w.since = time.Now()
	return err
}

// place is where a destination stands.
type place struct {
	at     change.LSN
	parked int64 // changes up to there that are set aside
}

// progress gives the place that the destination stands at, as s sees it.
func (v *Verifier) progress(ctx context.Context, s *session) (p place, err error) {
	if v.o.API != nil {
		p.at, err = v.called(ctx)
		return p, err
	}
	rows, err := s.all(ctx, ask("SELECT commit_lsn, complete, parked FROM sluice.progress WHERE sink = $1 AND source = $2", v.o.Sink, v.o.Source))
	switch {
	case err != nil:
		return p, fmt.Errorf("cannot ask the destination how far it is (sluice.progress): %w", err)
	case len(rows) == 0:
		return p, fmt.Errorf("the destination does not know the sink %s: has it ever run?", v.o.Sink)
	case rows[0][1] != "t":
		return p, errIncomplete
	}
	if p.at, err = change.ParseLSN(rows[0][0]); err == nil {
		p.parked, err = strconv.ParseInt(rows[0][2], 10, 64)
	}
	return p, err
}

// sourcePosition gives a position at or behind every commit that the snapshot at hand sees. A standby has perhaps
// applied a record that it does not count as replayed yet.
func (v *Verifier) sourcePosition(ctx context.Context) (change.LSN, error) {
	row, err := v.rows.one(ctx, `SELECT CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
		ELSE pg_current_wal_insert_lsn() END`)
	if err != nil {
		return 0, fmt.Errorf("cannot ask the source for its position: %w", err)
	}
	at, err := change.ParseLSN(row[0])
	return at + v.shift, err
}

// applied waits until the destination stands at a position or behind it.
func (v *Verifier) applied(ctx context.Context, to change.LSN) error {
	pause := retry.Backoff{First: 5 * time.Millisecond, Most: 250 * time.Millisecond}
	var last change.LSN
	moved, told := time.Now(), false
	w := v.watch()
	for {
		var p place
		err := v.complete(ctx, func() (err error) { p, err = v.progress(ctx, v.aside); return err })
		at := p.at
		if err != nil || at >= to {
			return err
		}
		if at != last {
			last, moved = at, time.Now()
			w.moves()
		}
		if time.Since(moved) > v.o.Patience {
			return fmt.Errorf("the destination stands at %s for %s, before %s: nothing can be said while it does not follow; see sluice status for capture and the sink",
				at, v.o.Patience, to)
		}
		if err := w.stands(ctx); err != nil {
			return err
		}
		if !told && time.Since(moved) > tellEvery {
			told = true
			v.o.Log.Info("verify waits for the destination to follow", "at", at, "to", to)
		}
		if err := retry.Wait(ctx, pause.Next()); err != nil {
			return err
		}
	}
}

// lingers is how long transactions that write to a table are waited for, before they are taken for ones that have not
// committed yet: between its record in the log and the moment in which others see it, a commit needs far less.
const lingers = 3 * time.Second

// seen waits until every transaction that committed up to a position can be seen at the source, as far as it wrote to
// the pair's source table. It tells whether that is so.
//
// A commit is in the log before others see it, and long before where it waits for a synchronous standby. It holds its
// locks as long, so that of the transactions that hold locks of writers now, those are waited for that may be such.
func (v *Verifier) seen(ctx context.Context, p *pair, at change.LSN) (bool, error) {
	if v.standby {
		return true, v.replayed(ctx, at)
	}
	first, err := v.writers(ctx, p)
	if err != nil {
		return false, err
	}
	pause := retry.Backoff{First: 2 * time.Millisecond, Most: 100 * time.Millisecond}
	for began := time.Now(); len(first) > 0; {
		if time.Since(began) > lingers {
			return !v.synchronous, nil
		}
		if err := retry.Wait(ctx, pause.Next()); err != nil {
			return false, err
		}
		now, err := v.writers(ctx, p)
		if err != nil {
			return false, err
		}
		first = slices.DeleteFunc(first, func(x string) bool { return !slices.Contains(now, x) })
	}
	return true, nil
}

// writers gives the transactions that hold locks on the source table with which it is written to.
func (v *Verifier) writers(ctx context.Context, p *pair) ([]string, error) {
	rows, err := v.rows.all(ctx, ask(`SELECT DISTINCT x.transactionid::text FROM pg_locks x JOIN pg_locks r ON r.virtualtransaction = x.virtualtransaction
		WHERE x.locktype = 'transactionid' AND x.mode = 'ExclusiveLock' AND x.granted AND r.locktype = 'relation' AND r.granted
		AND r.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND r.mode NOT IN ('AccessShareLock', 'RowShareLock')
		AND r.relation IN (SELECT $1::text::oid UNION SELECT relid FROM pg_partition_tree($1::text::oid::regclass))`, p.source.oid))
	if err != nil {
		return nil, fmt.Errorf("cannot ask the source who writes: %w", err)
	}
	out := make([]string, len(rows))
	for i, row := range rows {
		out[i] = row[0]
	}
	return out, nil
}

// replayed waits until a standby has replayed its log up to a position.
func (v *Verifier) replayed(ctx context.Context, to change.LSN) error {
	deadline := time.Now().Add(v.o.Patience)
	for {
		row, err := v.rows.one(ctx, "SELECT pg_last_wal_replay_lsn()")
		if err != nil {
			return err
		}
		at, err := change.ParseLSN(row[0])
		if err != nil || at+v.shift >= to {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the source is a standby and has replayed up to %s for %s, the destination stands at %s", at+v.shift, v.o.Patience, to)
		}
		if err := retry.Wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
