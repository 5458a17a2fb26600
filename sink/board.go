package sink

import (
	"sync"
	"time"
)

// board is where a runner pins its status for others to read.
type board struct {
	mu      sync.Mutex
	status  Status
	started time.Time
}

func (b *board) init() {
	b.started = time.Now()
	b.status = Status{State: StateStopped, Reason: "not started"}
}

func (b *board) get() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	since := s.AppliedTime
	if since.IsZero() {
		since = b.started
	}
	s.LagSeconds = max(0, time.Since(since).Seconds())
	return s
}

func (b *board) set(s State, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.State, b.status.Reason = s, reason
}

func (b *board) applied(c Checkpoint) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.AppliedLSN, b.status.Complete = c.Commit, c.Complete
	if c.Time != 0 {
		b.status.AppliedTime = timeOf(c.Time)
	}
}

func (b *board) stop(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.State, b.status.Reason = StateStopped, "ended"
	if err != nil {
		b.status.Reason = err.Error()
	}
}
