package capture

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// ledgerKey is the journal's key of the ledger.
const ledgerKey = "source"

// ledger says what the published records rest on: which slot of which cluster, and from where on.
type ledger struct {
	Slot string     `json:"slot"`
	LSN  change.LSN `json:"lsn"` // where the stream began
	system
}

// readLedger gives the ledger; false when nothing was published yet.
func (c *Capture) readLedger() (l ledger, ok bool, err error) {
	b, ok := c.down.Get(ledgerKey)
	if !ok {
		return l, false, nil
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return l, false, fmt.Errorf("cannot read the ledger in topic %s: %w; capture does not know what Kafka holds and goes no further", schemas.StateTopic(c.cfg.Name), err)
	}
	return l, true, nil
}

func (c *Capture) writeLedger(ctx context.Context, l ledger) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := c.down.Put(ctx, ledgerKey, b); err != nil {
		return fatal(fmt.Errorf("cannot write the ledger to topic %s: %w", schemas.StateTopic(c.cfg.Name), err))
	}
	return nil
}

// continuity compares what the records rest on with what is there now. exists says that our slot is.
func (c *Capture) continuity(l ledger, now system, exists bool) error {
	switch {
	case l.ID != now.ID:
		return c.gap(fmt.Sprintf("the source is another cluster now (system identifier %s, before %s): restored, upgraded or a wrong source.dsn", now.ID, l.ID), c.last())
	case l.Slot != c.cfg.Slot:
		return c.gap(fmt.Sprintf("source.slot is %s now, what Kafka holds came from slot %s", c.cfg.Slot, l.Slot), c.last())
	case !exists:
		return c.gap("the slot is gone: dropped, or left behind by a failover or a restored backup", c.last())
	}
	if l.Timeline != now.Timeline {
		c.log.Warn("the source is on another timeline than before; the slot is there, so that the log goes on", "timeline", now.Timeline, "before", l.Timeline)
	}
	return nil
}

// last gives the newest position that is known to be durable.
func (c *Capture) last() change.LSN { return max(c.down.Durable(), c.down.Ended()) }

// gap states a loss of continuity and what can be done (G10). Nothing is repaired by itself, as
// changes between the two positions are gone from the log, deletes among them.
func (c *Capture) gap(reason string, last change.LSN) error {
	return fmt.Errorf("cannot go on from slot %s on %s: %s. The last position that Kafka is known to hold whole is %s: "+
		"changes committed after it may be lost, deletes among them, and nothing was skipped or confirmed. "+
		"Choose: if the slot still exists elsewhere, correct source.dsn or source.slot; "+
		"or run sluice teardown and set source.name to a new name, for a complete new snapshot into new topics (empty the tables at destinations first, or rows that were deleted meanwhile stay there); "+
		"or run sluice teardown and delete the topic %s, for a new snapshot into the same topics, in which rows that were deleted meanwhile stay",
		c.cfg.Slot, c.source.where, reason, last, schemas.StateTopic(c.cfg.Name))
}
