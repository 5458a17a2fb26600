package consume

import (
	"context"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// beginGroup opens the group whose END was read.
func (c *consumer) beginGroup(ctx context.Context) error {
	if g := c.group.end.Gap; g != nil {
		c.log.Warn("a gap in the source's log: changes in between were not captured. Their tables come again as a whole, with what was deleted; until then progress says that the destination is not complete",
			"from", g.From, "to", g.To, "reason", g.Reason)
	}
	if err := c.group.begin(c.tables); err != nil {
		return err
	}
	return c.sweep(ctx, false)
}

// sweep adds what the END says of repairs that end with the group. Rows of a table with a key are kept as they
// come, and the others go after them; those of a table without one are replaced, so that all go before.
func (c *consumer) sweep(ctx context.Context, keyed bool) error {
	for i := range c.group.end.Collections {
		counts := &c.group.end.Collections[i]
		if counts.Swept.Value == 0 || (counts.Swept.Key != 0) != keyed || c.group.others {
			continue // as nearly always
		}
		t := c.tables[counts.Name]
		if t == nil {
			continue
		}
		table, err := c.codec.table(ctx, counts.Swept)
		if err != nil {
			return fmt.Errorf("cannot read the schemas of %s, which group %s (commit %s) ends the repair of: %w", counts.Name, c.group.end.ID, c.group.end.Commit, err)
		}
		c.now.batch.Changes = append(c.now.batch.Changes, change.Change{
			Op: change.Sweep, Table: table, Keep: t.keep, Commit: c.group.end.Commit, Time: c.group.time, Ordinal: c.group.ordinal + 1,
		})
	}
	return nil
}
