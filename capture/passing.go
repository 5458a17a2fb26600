package capture

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
)

// quiet is how long nothing is published, not even a heartbeat of ours, until a place that was passed is.
const quiet = 2 * time.Second

// passing notes since when nothing was published.
type passing struct {
	at    change.LSN // progress.handed
	since time.Time
}

// onKeepalive takes the server's word that everything before a place was sent.
func (d *decoder) onKeepalive(ctx context.Context, b []byte) error {
	if d.open {
		return nil
	}
	d.place.pass(d.position(binary.BigEndian.Uint64(b[1:])))
	if err := d.atBoundary(ctx); err != nil {
		return err
	}
	return d.passBy(ctx, b[keepaliveN-1] == 1)
}

// passBy publishes a place of the log that was passed with nothing to publish, where no heartbeat of ours comes that
// would: on a standby, and on a server that shuts down, which waits until everything that it sent is confirmed. Only
// what an END says is confirmed, since what else is was confirmed by somebody else (broken).
func (d *decoder) passBy(ctx context.Context, asked bool) error {
	handed := d.progress.handed()
	if d.place.at <= handed || d.halfway() || len(d.due) > 0 || d.stopping.Load() {
		return nil
	}
	now := time.Now()
	if d.passing.at != handed {
		d.passing = passing{handed, now}
	}
	if !asked && now.Sub(d.passing.since) < quiet {
		return nil
	}
	commit, ok := d.place.take()
	if !ok {
		return nil
	}
	g := d.between(commit)
	g.Heartbeat, g.Repair = true, d.copies.repair
	return d.endBetween(ctx, g)
}

// between begins a group that stands between two transactions. Its time is that of the transaction before, so that
// nobody takes the stream for less late than it is.
func (d *decoder) between(commit change.LSN) *change.Group {
	g := &change.Group{Kind: change.Snapshot, Commit: commit, Time: d.place.time}
	if g.Time == 0 {
		g.Time = change.Micros(time.Now().UnixMicro())
	}
	return g
}

// endBetween closes it.
func (d *decoder) endBetween(ctx context.Context, g *change.Group) error {
	g.End, g.Copying = d.place.at, d.copies.copying
	if err := d.to.Publish(ctx, g, nil); err != nil {
		return fatal(fmt.Errorf("cannot publish the end of group %s, between two transactions: %w", g.Commit, err))
	}
	crash.At("chunk published")
	d.whole = max(d.whole, g.Commit)
	d.progress.publishCopy(g.End)
	d.metrics.groups.Inc()
	return nil
}
