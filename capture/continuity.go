package capture

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pglogrepl"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// broken says why what Kafka holds and what a slot that exists will send are not one; empty when they are.
func (c *Capture) broken(ctx context.Context, l ledger, le *lease) (string, error) {
	known := max(l.LSN, c.known())
	at := le.stream.floor + l.Shift
	other := c.another(l, le.system)
	switch {
	case other != "":
		return other, nil
	case l.Publication != 0 && l.Publication != c.publication:
		return "", errRepublished
	case at > known && (c.down.Ended() == 0 || c.down.EndedAt() != 0):
		return fmt.Sprintf("the slot stands at %s, which nobody confirmed to it: it was dropped and made again, or moved on, by somebody else", at), nil
	case c.source.standby:
		return "", nil // its log may end before that of the one that was read before
	}
	end, err := c.source.logEnd(ctx)
	if err != nil {
		return "", err
	}
	if end+l.Shift < known {
		return fmt.Sprintf("the log of the source ends at %s, before what Kafka holds: it was restored from a backup, or a standby took over that had not received everything", end+l.Shift), nil
	}
	if l.Timeline == le.system.Timeline || c.decoder.last.xid != 0 {
		return "", nil // the slot tells, which only we confirm, or what it sends again (resent.go)
	}
	return c.parted(ctx, l, le.system, known)
}

// another says why a ledger is of another cluster, or of another slot; empty when it is not.
func (c *Capture) another(l ledger, now system) string {
	switch {
	case l.ID != now.ID:
		return fmt.Sprintf("the source is another cluster now (system identifier %s, before %s): restored, upgraded or a wrong source.dsn", now.ID, l.ID)
	case l.Slot != c.cfg.Slot:
		return fmt.Sprintf("source.slot is %s now, what Kafka holds came from slot %s (where that is left, drop it: it keeps log)", c.cfg.Slot, l.Slot)
	}
	return ""
}

// parted says whether the timeline of the source left the one before where Kafka holds more of it: copied rows, of
// which nothing is sent again.
func (c *Capture) parted(ctx context.Context, l ledger, now system, known change.LSN) (string, error) {
	at, err := c.switchOf(ctx, l.Timeline, now.Timeline)
	switch {
	case err != nil:
		return "", err
	case at == 0:
		return fmt.Sprintf("timeline %d of the source does not come from timeline %d, which Kafka holds", now.Timeline, l.Timeline), nil
	case at+l.Shift < known:
		return fmt.Sprintf("timeline %d of the source begins at %s, and Kafka holds timeline %d up to %s: transactions after the switch were lost to the source, by a failover to a standby that had not received them",
			now.Timeline, at+l.Shift, l.Timeline, known), nil
	}
	return "", nil
}

// switchOf gives where a timeline was left on the way to another; 0 when it is not on the way.
func (c *Capture) switchOf(ctx context.Context, was, now int32) (change.LSN, error) {
	l, err := dial(ctx, c.cfg)
	if err != nil {
		return 0, err
	}
	defer l.close()
	h, err := pglogrepl.TimelineHistory(ctx, l.pg, now)
	if err != nil {
		return 0, fmt.Errorf("cannot ask %s for the history of timeline %d: %w", c.source.where, now, err)
	}
	for line := range strings.Lines(string(h.Content)) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == fmt.Sprint(was) {
			return change.ParseLSN(f[1])
		}
	}
	return 0, nil
}

// logEnd gives where the log of a source that writes ends.
func (s *source) logEnd(ctx context.Context) (change.LSN, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var text string
	if err := s.pool.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&text); err != nil {
		return 0, fmt.Errorf("cannot ask %s where its log ends: %w", s.where, err)
	}
	return change.ParseLSN(text)
}

// stateLost says that topics hold records and the state topic does not know of them.
func (c *Capture) stateLost() string {
	return "topic " + schemas.StateTopic(c.cfg.Name) + " holds nothing, though other topics of the source do: it was deleted or truncated, and capture does not know what the records rest on"
}

// slotGone is why a slot must be made anew though records rest on one.
const slotGone = "the slot is gone: dropped, or left behind by a failover or a restored backup"
