package capture

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// owe has the copies rest for as long as the rows that were published take at the rates that are allowed.
func (k *copies) owe(t *tableCopy, rows int64) {
	now := time.Now()
	k.owed = later(k.owed, now, rows, k.capture.cfg.Snapshot.MaxRowsPerSecond)
	t.owed = later(t.owed, now, rows, t.limit)
	if wait := max(k.owed.Sub(now), t.owed.Sub(now)); wait > 0 {
		time.AfterFunc(wait, k.signal)
	}
}

// later moves a time on by rows at a rate; rate 0 does not.
func later(owed, now time.Time, rows int64, rate int) time.Time {
	if rate <= 0 {
		return time.Time{}
	}
	if owed.Before(now) {
		owed = now
	}
	return owed.Add(time.Duration(float64(rows) / float64(rate) * float64(time.Second)))
}

// watchReplicas has the copies wait while a standby of the source is too late.
func (c *Capture) watchReplicas(ctx context.Context) error {
	most := c.cfg.Snapshot.MaxReplicaLag
	if most == 0 {
		return nil
	}
	k := c.decoder.copies
	for {
		if retry.Wait(ctx, time.Second) != nil {
			return nil
		}
		lag, err := c.source.replicaLag(ctx)
		if err != nil {
			continue // the heartbeat tells that the source cannot be asked
		}
		err = k.call(ctx, func(context.Context) error {
			if late := lag > most; late != k.lagging {
				k.lagging = late
				c.log.Info("copies follow the standbys of the source", "wait", late, "replay_lag", lag.Round(time.Millisecond), "max_replica_lag", most)
				k.signal()
			}
			return nil
		})
		if err != nil {
			return stopped(ctx, err)
		}
	}
}

// replicaLag gives how late the latest physical standby replays.
func (s *source) replicaLag(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	const q = `SELECT coalesce(extract(epoch FROM max(r.replay_lag)), 0)::float8 FROM pg_stat_replication r
		WHERE NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')`
	var seconds float64
	if err := s.pool.QueryRow(ctx, q).Scan(&seconds); err != nil {
		return 0, fmt.Errorf("cannot ask how late the standbys of %s are: %w", s.where, err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
