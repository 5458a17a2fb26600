package kafka

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff spaces attempts: first, then twice as long each time up to most, each shortened by up to
// half at random so that clients do not return together.
type backoff struct {
	first, most time.Duration
	count       int // attempts that failed so far
}

// wait pauses before the next attempt; it gives an error when ctx ends before.
func (b *backoff) wait(ctx context.Context) error {
	pause := b.most
	if b.count < 16 {
		pause = min(b.first<<b.count, b.most)
	}
	b.count++
	timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retryLimit is how long an administrative request is tried again: longer than the election of a
// leader or coordinator after the loss of a broker (session timeout 9-18 s).
const retryLimit = 60 * time.Second

// retry runs f until it succeeds, fails for good, or retryLimit has passed.
func (c *Client) retry(ctx context.Context, f func(ctx context.Context) error) error {
	pause := backoff{first: time.Millisecond, most: time.Second}
	end := time.Now().Add(retryLimit)
	for {
		err := f(ctx)
		if err == nil || !Retriable(err) || time.Now().After(end) {
			return err
		}
		if pause.count == 8 {
			c.log.Warn("Kafka does not answer as it should, trying again", "error", err)
		}
		if pause.wait(ctx) != nil {
			return err
		}
	}
}
