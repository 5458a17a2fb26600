package sink

import (
	"math/rand/v2"
	"time"
)

// The first wait is about the time of a short lock, the longest one is what an operator who has
// repaired the destination is willing to wait for.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 15 * time.Second
)

// backoff doubles the waits between attempts. Each is drawn from the upper half of its range, so that
// sinks that failed together do not come back together.
type backoff struct{ wait time.Duration }

func (b *backoff) next() time.Duration {
	b.wait = min(max(2*b.wait, firstWait), longestWait)
	return b.wait/2 + rand.N(b.wait/2)
}

func (b *backoff) reset() { b.wait = 0 }
