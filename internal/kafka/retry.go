package kafka

import (
	"context"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// retryLimit is how long an administrative request is tried again: longer than the election of a
// leader or coordinator after the loss of a broker (session timeout 9-18 s).
const retryLimit = 60 * time.Second

// retry runs f until it succeeds, fails for good, or retryLimit has passed.
func (c *Client) retry(ctx context.Context, f func(ctx context.Context) error) error {
	pause := retry.Backoff{First: time.Millisecond, Most: time.Second}
	end := time.Now().Add(retryLimit)
	for {
		err := f(ctx)
		if err == nil || !Retriable(err) || time.Now().After(end) {
			return err
		}
		if pause.Tries() == 8 {
			c.log.Warn("Kafka does not answer as it should, trying again", "error", err)
		}
		if retry.Wait(ctx, pause.Next()) != nil {
			return err
		}
	}
}
