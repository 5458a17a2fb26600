package sink

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// ticking gives a heartbeat a second, of everything that was committed until then, as a consumer of a source
// that writes all the time.
type ticking struct{ from change.Micros }

func (k *ticking) Next(ctx, _ context.Context) (*Batch, error) {
	if at := timeOf(k.from).Add(time.Second); at.After(time.Now()) {
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	k.from += 1_000_000
	at := change.LSN(k.from)
	return &Batch{Groups: 1, Changes: []change.Change{{Op: change.Create, Table: accounts, Commit: at}}, Checkpoint: Checkpoint{
		Commit: at, Time: k.from, Complete: true, Offsets: map[string]map[int32]int64{"t": {0: int64(at)}},
	}}, nil
}

func (k *ticking) Close() error { return nil }

// steeredStage is a runner that people steer.
type steeredStage struct {
	*stage
	wishes Wishes
	mu     sync.Mutex
	posted []*Waiting
}

func newSteered(t *testing.T, dest *memory, cadence Cadence) *steeredStage {
	t.Helper()
	s := &steeredStage{stage: newStage(t, dest, 0)}
	dest.held = Checkpoint{Commit: 1, Time: change.Micros(time.Now().UnixMicro()), Complete: true}
	s.Runner.cadence, s.Runner.status.cadence = cadence, cadence
	s.Runner.deps.Open = func(_ context.Context, from Checkpoint, _ change.LSN) (Consumer, error) {
		return &ticking{from.Time}, nil
	}
	s.Runner.deps.Steering = NewSteering()
	s.Runner.steering = s.Runner.deps.Steering
	s.Runner.deps.Post = func(_ context.Context, w *Waiting) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.posted = append(s.posted, w)
		s.wishes.Waiting = w
		s.Steer(s.wishes)
		return nil
	}
	return s
}

func (s *steeredStage) wish(f func(*Wishes)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.wishes)
	s.wishes.Decisions = slices.Clone(s.wishes.Decisions)
	s.Steer(s.wishes)
}

// shown gives what was posted so far.
func (s *steeredStage) shown() []*Waiting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.posted)
}

// open tells whether the sink has its lease.
func (s *steeredStage) open() bool {
	s.dest.mu.Lock()
	defer s.dest.mu.Unlock()
	return s.dest.leased
}

func (s *steeredStage) want(t *testing.T, state State, open bool, applied time.Time) {
	t.Helper()
	got := s.Status()
	if got.State != state || s.open() != open {
		t.Errorf("%s with the lease %v, want %s and %v: %+v", got.State, s.open(), state, open, got)
	}
	if d := got.AppliedTime.Sub(applied); d < 0 || d > time.Second {
		t.Errorf("applied up to %s, want %s", got.AppliedTime, applied)
	}
}

// A sink waits for the first word, so that one that is paused applies nothing when its process starts.
func TestPausedFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := newSteered(t, &memory{}, Cadence{})
		s.start(t)
		pass(time.Minute)
		if got := s.Status(); got.State != StateStopped || s.open() {
			t.Errorf("%+v, with the lease %v", got, s.open())
		}
		s.wish(func(w *Wishes) { w.Paused = true })
		pass(time.Hour)
		if got := s.Status(); got.State != StatePaused || s.open() || got.LateSeconds != 0 || got.LagSeconds < 3600 {
			t.Errorf("%+v, with the lease %v", got, s.open())
		}
		s.wish(func(w *Wishes) { w.Paused = false })
		pass(10 * time.Second)
		s.want(t, StateRunning, true, began.Add(time.Hour+69*time.Second))
		s.wish(func(w *Wishes) { w.Paused = true })
		pass(time.Minute)
		s.want(t, StatePaused, false, began.Add(time.Hour+69*time.Second))
		if !strings.Contains(s.Status().Reason, "sluice resume billing") {
			t.Errorf("%+v", s.Status())
		}
		s.stop(t)
	})
}

// Between the times of its schedule a sink has no lease and applies nothing; at each it applies what was
// committed before. It is late only when it is behind that.
func TestSleepsBetweenTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		every := Cadence{Every: 10 * time.Minute}
		s := newSteered(t, &memory{}, every)
		s.Steer(Wishes{})
		began := every.after(time.Now())
		pass(time.Until(began.Add(2 * time.Second)))
		s.start(t)
		pass(3 * time.Second) // one was missed
		s.want(t, StateStandby, false, began)
		pass(9 * time.Minute)
		s.want(t, StateStandby, false, began)
		got := s.Status()
		if !got.NextRun.Equal(began.Add(10*time.Minute)) || got.LateSeconds != 0 || got.LagSeconds < 500 || !strings.Contains(got.Reason, "sluice sync billing") {
			t.Errorf("%+v", got)
		}
		asked := time.Now()
		s.wish(func(w *Wishes) { w.Sync = asked })
		pass(5 * time.Second)
		s.want(t, StateStandby, false, asked)
		pass(time.Until(began.Add(10*time.Minute + 2*time.Second)))
		s.want(t, StateStandby, false, began.Add(10*time.Minute))
		s.dest.mu.Lock()
		s.dest.resume = func(int) error { return passing{errors.New("the destination is away")} }
		s.dest.mu.Unlock()
		pass(15 * time.Minute)
		if got := s.Status(); got.State != StateStopped || got.LateSeconds < 4*60-5 || got.LateSeconds > 4*60+5 {
			t.Errorf("behind its schedule: %+v", got)
		}
		s.dest.mu.Lock()
		s.dest.resume = nil
		s.dest.mu.Unlock()
		pass(time.Minute)
		s.want(t, StateStandby, false, began.Add(20*time.Minute))
		s.stop(t)
	})
}

// A first copy is not cut short by the schedule.
func TestFirstCopyIsNotScheduled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteered(t, &memory{}, Cadence{At: "02:00"})
		s.dest.held.Complete = false
		s.Steer(Wishes{})
		s.start(t)
		pass(time.Minute)
		s.want(t, StateStandby, false, s.Status().AppliedTime)
		if s.dest.applied == 0 {
			t.Error("it slept though rows from before are to come")
		}
		s.stop(t)
	})
}

// What waits is shown to others while it does, without looking again and again; a decision is obeyed at once.
func TestHeldUntilDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteered(t, &memory{}, Cadence{})
		var stop change.LSN
		s.dest.apply = func(_ context.Context, b *Batch) error {
			if at := b.Checkpoint.Commit; stop == 0 {
				stop = at + 5_000_000
			} else if at == stop && s.steering.get().decisionOf(at) == nil {
				w := &Waiting{Table: "public.accounts", Kind: HoldDeletes, At: at, Rows: 7, Reason: "too many"}
				return &HeldError{Table: w.Table, Why: w.Kind, At: at, Reason: w.Reason, Waiting: w}
			}
			return nil
		}
		s.Steer(Wishes{})
		s.start(t)
		pass(time.Hour)
		got := s.Status()
		if resumed, _ := s.dest.leases(); got.State != StateHeld || got.Waiting == nil || got.Waiting.Rows != 7 || s.open() || resumed != 2 {
			t.Errorf("%+v after %d resumes", got, resumed)
		}
		if p := s.shown(); len(p) != 1 || p[0].At != stop {
			t.Errorf("posted %+v", p)
		}
		s.wish(func(w *Wishes) { w.Paused = true })
		pass(time.Minute)
		s.want(t, StatePaused, false, got.AppliedTime)
		s.wish(func(w *Wishes) {
			w.Paused = false
			w.Decisions = append(w.Decisions, Decision{Verdict: Approve, At: stop, To: "public.accounts", Kind: HoldDeletes})
		})
		pass(10 * time.Second)
		if got := s.Status(); got.State != StateRunning || got.AppliedLSN <= stop || got.Waiting != nil {
			t.Errorf("%+v", got)
		}
		if p := s.shown(); len(p) != 2 || p[1] != nil {
			t.Errorf("posted %+v", p)
		}
		s.stop(t)
	})
}

// What an earlier process said of a change is taken back by the one that gets past it.
func TestWaitingIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteered(t, &memory{}, Cadence{})
		at := change.LSN(s.dest.held.Time + 5_000_000)
		s.wish(func(w *Wishes) { w.Waiting = &Waiting{Table: "public.accounts", Kind: HoldDeletes, At: at} })
		s.start(t)
		pass(3 * time.Second)
		if p := s.shown(); len(p) != 0 {
			t.Errorf("posted %+v before it was passed", p)
		}
		pass(time.Minute)
		if p := s.shown(); len(p) != 1 || p[0] != nil {
			t.Errorf("posted %+v", p)
		}
		s.stop(t)
	})
}

func (w Wishes) decisionOf(at change.LSN) *Decision {
	return w.decision(at, "public.accounts", HoldDeletes)
}
