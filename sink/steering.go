package sink

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// Wishes are what people want of a sink, all that are in force.
type Wishes struct {
	Paused bool
	// Sync asks a sink with a schedule to apply, now, what was committed at the source before it.
	Sync time.Time
	// Lifted is until when the breaker holds nothing.
	Lifted time.Time
	// Decisions are about changes that held the sink, at any time.
	Decisions []Decision
	// Parked are about parked changes, and were not obeyed yet.
	Parked []ParkedWish
	// Waiting is what holds the sink, as a process that served it has said last; nil when nothing does. It
	// keeps the sink held through restarts, when the window has to be counted anew.
	Waiting *Waiting
}

// Decision says what becomes of the changes of one kind to a destination table in a group that held the sink.
type Decision struct {
	Verdict Verdict    `json:"verdict"`
	At      change.LSN `json:"commit_lsn"`
	To      string     `json:"to"` // the destination table, as Waiting has it
	Kind    Hold       `json:"kind"`
	Time    time.Time  `json:"time"`
}

// Verdict is what was decided.
type Verdict string

// The verdicts.
const (
	Approve Verdict = "approve" // the changes are applied
	Skip    Verdict = "skip"    // they are left out, and the rest of the group is applied
)

// Steering hands wishes to a sink that runs. Any goroutine may use it.
type Steering struct {
	mu      sync.Mutex
	wishes  Wishes
	changed chan struct{} // closed at the next change
	known   chan struct{} // closed at the first
}

// NewSteering gives one that has heard of nothing.
func NewSteering() *Steering {
	return &Steering{changed: make(chan struct{}), known: make(chan struct{})}
}

// Set takes all wishes in force. What the sink itself said of what waits wakes nobody.
func (s *Steering) Set(w Wishes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, after := s.wishes, w
	s.wishes = w
	before.Waiting, after.Waiting = nil, nil
	select {
	case <-s.known:
		if reflect.DeepEqual(before, after) {
			return
		}
	default:
		close(s.known)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// now gives the wishes, and what is closed when there are others.
func (s *Steering) now() (Wishes, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wishes, s.changed
}

// get gives the wishes.
func (s *Steering) get() Wishes {
	w, _ := s.now()
	return w
}

// first waits until wishes are known.
func (s *Steering) first(ctx context.Context) {
	select {
	case <-s.known:
	case <-ctx.Done():
	}
}

// while gives a context that ends when the wishes are such that ok is false.
func (s *Steering) while(ctx context.Context, ok func(*Wishes) bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			w, changed := s.now()
			if !ok(&w) {
				cancel()
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	})
	return ctx, func() { cancel(); watching.Wait() }
}

// more tells whether there is a wish about parked changes that is not among earlier ones.
func (w *Wishes) more(before *Wishes) bool {
	return slices.ContainsFunc(w.Parked, func(p ParkedWish) bool {
		return !slices.ContainsFunc(before.Parked, func(q ParkedWish) bool { return q.ID == p.ID })
	})
}

// waitFor blocks until changed is closed, a time has passed (0: however long) or ctx ends.
func waitFor(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	var late <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-changed:
	case <-late:
	case <-ctx.Done():
	}
}
