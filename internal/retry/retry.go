// Package retry spaces attempts at something that may come right by itself.
package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff gives the waits between attempts: First, then twice as long each time up to Most. Each is
// drawn from the upper half of its range, so that those who failed together do not return together.
type Backoff struct {
	First, Most time.Duration
	tries       int
}

// Next gives the wait before the next attempt.
func (b *Backoff) Next() time.Duration {
	d := b.Most
	if b.tries < 32 { // beyond it the shift would overflow, long after Most
		d = min(b.First<<b.tries, b.Most)
	}
	b.tries++
	return d/2 + rand.N(d/2+1)
}

// Tries counts the waits since the start or the last Reset.
func (b *Backoff) Tries() int { return b.tries }

// Reset begins again with First.
func (b *Backoff) Reset() { b.tries = 0 }

// Wait returns after d, or with the cause of a context that ended before.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
