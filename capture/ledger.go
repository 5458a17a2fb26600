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
	// Shift is what positions are more than LSNs of the log, since one that began at lower LSNs took the place
	// of another.
	Shift change.LSN `json:"shift,omitempty"`
	// Gap is a loss of continuity that is being bridged: from before the slot is replaced until the gap's mark and
	// the copies that repair it are durable.
	Gap         *gap   `json:"gap,omitempty"`
	Publication uint32 `json:"publication,omitempty"` // OID; 0 where an earlier version did not note it
	system
}

// readLedger gives the ledger; false when it does not say what records rest on.
func (c *Capture) readLedger() (l ledger, ok bool, err error) {
	b, ok := c.down.Get(ledgerKey)
	if !ok {
		return l, false, nil
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return l, false, fmt.Errorf("cannot read the ledger in topic %s: %w; capture does not know what Kafka holds and goes no further", schemas.StateTopic(c.cfg.Name), err)
	}
	return l, l.Slot != "", nil
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

// Shift gives by how much positions are more than the LSNs of the source's log, by the entries of the state
// topic, and whether a gap in the log is being bridged, so that another one comes.
func Shift(state map[string][]byte) (by change.LSN, bridging bool, err error) {
	var l ledger
	b, ok := state[ledgerKey]
	if !ok {
		return 0, false, nil
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return 0, false, fmt.Errorf("cannot read the ledger of capture: %w", err)
	}
	return l.Shift, l.Gap != nil, nil
}
