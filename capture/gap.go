package capture

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// gap is a loss of continuity: of what was committed after From, the log may be gone (G10).
type gap struct {
	Reason string     `json:"reason"`
	From   change.LSN `json:"from"`
}

// lose says that continuity is lost. It gives an error unless a repair is configured; then the gap is noted
// durably, so that a crash in the middle of what follows forgets nothing.
func (c *Capture) lose(ctx context.Context, reason string) (*gap, error) {
	if err := c.attach(ctx); err != nil {
		return nil, err
	}
	g, err := c.openGap()
	if g != nil || err != nil {
		return g, err
	}
	if g = (&gap{reason, c.known()}); c.cfg.OnGap != GapReconcile {
		return nil, fatal(c.gapError(g))
	}
	c.log.Error("the source's log has a gap: changes committed in between are lost to the stream, and every table is going to be repaired, deletes among them (on_gap: reconcile)",
		"reason", reason, "from", g.From)
	l, _, err := c.readLedger()
	if err != nil {
		return nil, fatal(err)
	}
	l.Gap = g
	return g, c.writeLedger(ctx, l)
}

// openGap gives the gap that is noted, nil when there is none.
func (c *Capture) openGap() (*gap, error) {
	l, _, err := c.readLedger()
	return l.Gap, fatal(err)
}

// known gives the end of the last group that Kafka is known to hold whole, or its commit where topics of an
// earlier version do not say the end.
func (c *Capture) known() change.LSN {
	return max(c.down.Durable(), c.down.Ended(), c.down.EndedAt())
}

// untouched tells whether nothing of the source was ever published: then there is no continuity to lose.
func (c *Capture) untouched() bool { return c.down.Reached() == 0 && c.progress.handed() == 0 }

// gapError states the loss and what can be done.
func (c *Capture) gapError(g *gap) error {
	return fmt.Errorf("cannot go on from slot %s on %s: %s. The last position that Kafka is known to hold whole is %s: "+
		"changes committed after it may be lost, deletes among them, and nothing was skipped or confirmed. "+
		"Choose: if the slot still exists elsewhere, correct source.dsn or source.slot; "+
		"or set source.on_gap: reconcile, which makes a new slot where needed, copies every table again into the same topics, and has sinks delete, by their policies, what is no more at the source; "+
		"or run sluice teardown and set source.name to a new name, for a complete new snapshot into new topics (empty the tables at destinations first, or rows that were deleted meanwhile stay there)",
		c.cfg.Slot, c.source.where, g.Reason, g.From)
}

// bridge marks a gap in the transaction topic and has every table repaired from where the slot is now.
func (c *Capture) bridge(ctx context.Context, le *lease, l ledger, g *gap) error {
	d := c.decoder
	d.to.Abandon()
	last := max(d.place.last, d.partial.Commit)
	c.shift(above(le.stream.floor, l.Shift, last))
	mark, floor := last+1, le.stream.floor+d.shift
	d.partial, d.whole, d.place = change.Position{}, mark, boundary{last: mark}
	d.last, d.half = sent{}, sent{}
	d.copies.recent = nil // of another history
	if err := c.repairTables(ctx, le, mark); err != nil {
		return err
	}
	group := &change.Group{
		Kind: change.Snapshot, Commit: mark, End: floor, Time: change.Micros(time.Now().UnixMicro()),
		Gap: &change.Gap{From: g.From, To: floor, Reason: g.Reason}, Copying: d.copies.copying, Repair: d.copies.repair,
	}
	if err := d.to.Publish(ctx, group, nil); err != nil {
		return fatal(fmt.Errorf("cannot publish the mark of the gap: %w", err))
	}
	c.progress.publishCopy(floor)
	if err := c.enter(ctx, le); err != nil { // durable, and all before it; the note of the gap is gone with it
		return err
	}
	c.metrics.gaps.Inc()
	c.log.Warn("the gap is marked; tables are copied again, and sinks delete what is no more at the source", "from", g.From, "to", floor, "tables", len(c.tables))
	return nil
}

// above gives by how much the LSNs of a log are to be shifted so that what comes after lsn stands above last.
// Whole 4 GB keep the lower half of what people compare; was is the shift so far.
func above(lsn, was, last change.LSN) change.LSN {
	const room = 1 << 8 // for the mark and its neighbours
	if lsn+was > last+room {
		return was
	}
	const unit = 1 << 32
	return (last + room - lsn + unit) / unit * unit
}

// shift says what positions are more than LSNs of the log from now on.
func (c *Capture) shift(by change.LSN) {
	c.decoder.shift = by
	c.progress.move(by)
}

// repairTables replaces the copies that there are by those that repair every table.
func (c *Capture) repairTables(ctx context.Context, le *lease, mark change.LSN) error {
	k := c.decoder.copies
	if err := k.restore(ctx); err != nil {
		return err
	}
	if err := k.supersede(ctx); err != nil {
		return err
	}
	barrier, err := c.barrier(ctx, le.created != nil)
	if err != nil {
		return err
	}
	for _, t := range c.tables {
		r := newCopy(repairID(t.QualifiedName(), mark), CopyRepair, t, barrier)
		r.Gap = mark
		if err := k.add(ctx, r); err != nil {
			return err
		}
	}
	k.update()
	return nil
}

// supersede ends the copies that a repair makes needless.
func (k *copies) supersede(ctx context.Context) error {
	var kept []*tableCopy
	for _, t := range k.all {
		switch {
		case t.Kind == CopyAsked && t.active():
			if err := k.settle(ctx, t, CopyCancelled, "the log has a gap, and the table is repaired as a whole"); err != nil {
				return err
			}
		case t.Kind == CopyRepair, t.active():
			if err := t.remove(ctx, k.capture.down); err != nil {
				return err
			}
			continue
		}
		kept = append(kept, t)
	}
	k.all = kept
	return nil
}

// undecodable tells the error of a slot that PostgreSQL cannot decode from (makeSlot).
func undecodable(err error) bool {
	return sqlState(err) == stateInternal && strings.Contains(err.Error(), "could not map file")
}

// mostUnmapped is how often in a row that error is taken for one that passes.
const mostUnmapped = 3

// noteUndecodable counts how often PostgreSQL could not decode at one place.
func (c *Capture) noteUndecodable(err error) {
	if !undecodable(err) {
		c.unmapped = 0
		return
	}
	if c.unmapped++; c.unmapped >= mostUnmapped {
		c.unmapped = 0
		c.useless = "PostgreSQL cannot decode what the slot gives: it does not know of tables that were altered while the slot was made (the error is \"could not map filenode\")"
	}
}
