package capture

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// snapshot publishes the rows that were there when the slot was made, as one group, so that an
// interrupted copy is never visible. After an error the group stays without an end: the downstream is
// closed, and the slot and the snapshot are made anew.
func (c *Capture) snapshot(ctx context.Context, le *lease) error {
	c.setState(StateSnapshot)
	begun := time.Now()
	l := c.ledgerOf(le)
	if err := c.writeLedger(ctx, l); err != nil {
		return err
	}
	rows, err := c.copyTables(ctx, le)
	if err == nil {
		err = c.awaitDurable(ctx)
	}
	if err != nil {
		c.starting = true
		c.detach()
		return err
	}
	if err := c.shapes.keep(ctx, l.LSN); err != nil {
		return err
	}
	l.Done = true
	if err := c.writeLedger(ctx, l); err != nil {
		return err
	}
	le.reader.Close()
	c.log.Info("snapshot done", "lsn", l.LSN, "tables", len(l.Tables), "rows", rows, "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

func (c *Capture) copyTables(ctx context.Context, le *lease) (rows int64, err error) {
	g := &change.Group{
		Kind: change.Snapshot, Commit: snapshotCommit(le.created.consistent), Time: change.Micros(time.Now().UnixMicro()),
	}
	emit := func(ch *change.Change) error {
		rows++
		ch.Ordinal, ch.LSN = rows, le.created.consistent
		if err := c.down.Publish(ctx, g, ch); err != nil {
			return fatal(fmt.Errorf("cannot publish row %d of the snapshot, in %s: %w", rows, ch.Table.QualifiedName(), err))
		}
		return nil
	}
	for _, t := range c.tables {
		before := rows
		if err := le.reader.Copy(ctx, t, emit); err != nil {
			return rows, err
		}
		c.metrics.snapshotRows.Add(float64(rows - before))
		c.log.Info("table copied", "table", t.QualifiedName(), "rows", rows-before)
	}
	g.End = le.created.consistent
	if err := c.down.Publish(ctx, g, nil); err != nil {
		return rows, fatal(fmt.Errorf("cannot publish the end of the snapshot: %w", err))
	}
	c.decoder.whole = g.Commit
	c.progress.publish(g.End, g.Time)
	c.metrics.groups.Inc()
	return rows, nil
}

// awaitDurable waits for everything that was published.
func (c *Capture) awaitDurable(ctx context.Context) error {
	c.down.Flush()
	check := time.NewTicker(5 * time.Millisecond)
	defer check.Stop()
	for !c.progress.drained() {
		select {
		case <-check.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
