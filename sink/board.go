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
	cadence Cadence
}

func (b *board) init(cadence Cadence) {
	b.started, b.cadence = time.Now(), cadence
	b.status = Status{State: StateStopped, Reason: "not started"}
}

func (b *board) get() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Complete = s.Complete && len(s.Awaited) == 0 // as sluice.progress has it
	since := s.AppliedTime
	if since.IsZero() {
		since = b.started
	}
	now := time.Now()
	s.LagSeconds = max(0, now.Sub(since).Seconds())
	if s.State != StatePaused {
		s.LateSeconds = b.cadence.overdue(since, now).Seconds()
	}
	if !b.cadence.Realtime() {
		s.NextRun = b.cadence.after(now)
	}
	return s
}

func (b *board) set(s State, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.State, b.status.Reason, b.status.Waiting = s, reason, nil
}

// hold shows why a sink is held.
func (b *board) hold(w *Waiting) {
	b.set(StateHeld, w.Reason)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Waiting = w
}

func (b *board) applied(c Checkpoint) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.AppliedLSN, b.status.Complete = c.Commit, c.Complete
	if c.Time != 0 {
		b.status.AppliedTime = timeOf(c.Time)
	}
}

func (b *board) foreign(w *ForeignWrite) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.ForeignWrites += w.Rows
	if last := b.status.LastForeignWrite; last == nil || !w.At.Before(last.At) {
		b.status.LastForeignWrite = w
	}
}

func (b *board) park(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Parked = n
}

func (b *board) await(all []AwaitedTable) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Awaited = all
}

func (b *board) stop(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.State, b.status.Reason = StateStopped, "ended"
	if err != nil {
		b.status.Reason = err.Error()
	}
}

// since gives from when on the sink is held, if it is, and now otherwise.
func (b *board) since(now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.status.Waiting == nil {
		return now
	}
	return b.status.Waiting.Since
}
