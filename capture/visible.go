package capture

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// visible waits until other sessions see what a transaction did. Its commit is in the log a moment before
// that, and long before where it waits for a synchronous standby: the catalogue would still be the one from
// before its statements. A transaction holds a lock on its own number until it is seen (manual, pg_locks).
func (c *catalogue) visible(ctx context.Context, xids ...uint32) error {
	const q = `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND granted AND transactionid = ANY ($1::text[]::xid[]))`
	var texts []string
	for _, xid := range xids {
		texts = append(texts, strconv.FormatUint(uint64(xid), 10))
	}
	pause := retry.Backoff{First: time.Millisecond, Most: 200 * time.Millisecond}
	for {
		var hidden bool
		if err := c.source.ask.QueryRow(ctx, q, texts).Scan(&hidden); err != nil {
			return fmt.Errorf("cannot ask whether transaction %d can be seen: %w", xids, err)
		}
		if !hidden {
			return nil
		}
		if err := retry.Wait(ctx, pause.Next()); err != nil {
			return fmt.Errorf("transaction %d is in the log and cannot be seen: it waits for a synchronous standby: %w", xids, err)
		}
	}
}
