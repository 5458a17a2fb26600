package sink

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluicecdc/sluice/internal/change"
)

// memory is a destination that does as it is told.
type memory struct {
	mu      sync.Mutex
	held    Checkpoint
	applied int // batches
	resumed int
	closed  int
	leased  bool
	resume  func(n int) error                         // n counts from 1
	apply   func(ctx context.Context, b *Batch) error // before the batch is kept
}

func (m *memory) Resume(ctx context.Context) (Checkpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resumed++
	if m.resume != nil {
		if err := m.resume(m.resumed); err != nil {
			return Checkpoint{}, err
		}
	}
	m.leased = true
	return m.held, nil
}

func (m *memory) Apply(ctx context.Context, b *Batch) error {
	if m.apply != nil {
		if err := m.apply(ctx, b); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied++
	if !b.Open {
		m.held = b.Checkpoint
	}
	return ctx.Err()
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed++
	m.leased = false
	return nil
}

// leases counts how often the lease was taken and given back.
func (m *memory) leases() (resumed, closed int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.resumed, m.closed
}

// script gives the batches of a fixed history, each a millisecond after the other, then waits.
type script struct {
	at    int
	total int
	dues  chan<- context.Context
}

func (s *script) Next(ctx, due context.Context) (*Batch, error) {
	if s.dues != nil {
		s.dues <- due
	}
	if s.at >= s.total {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(time.Millisecond)
	s.at++
	b := &Batch{Groups: 1, Checkpoint: Checkpoint{
		Commit: change.LSN(s.at), Complete: true, Time: change.Micros(time.Now().UnixMicro()),
		Offsets: map[string]map[int32]int64{"t": {0: int64(s.at)}},
	}}
	b.Commits = append(b.Commits, b.Checkpoint.Time)
	b.Changes = append(b.Changes, change.Change{Op: change.Create, Table: accounts, Ordinal: 1})
	return b, nil
}

func (s *script) Close() error { return nil }

var accounts = &change.Table{Schema: "public", Name: "accounts"}

// passing is an error that a retry heals.
type passing struct{ error }

func (passing) Retryable() bool { return true }

// offsets remembers what was committed.
type offsets struct {
	mu    sync.Mutex
	group string
	last  int64
	times int
}

func (o *offsets) CommitOffsets(_ context.Context, group string, m map[string]map[int32]int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.group, o.last = group, m["t"][0]
	o.times++
	return nil
}

// stage is a runner with everything around it.
type stage struct {
	*Runner
	dest    *memory
	offsets *offsets
	log     *bytes.Buffer
	reg     *prometheus.Registry
	cancel  context.CancelFunc
	ended   chan error
}

func newStage(t *testing.T, dest *memory, batches int) *stage {
	t.Helper()
	s := &stage{dest: dest, offsets: &offsets{}, log: &bytes.Buffer{}, reg: prometheus.NewRegistry(), ended: make(chan error, 1)}
	cfg := Config{Name: "billing", Source: "crm", Type: "memory", Tables: []Table{{From: "public.accounts"}}}
	s.Runner = New(cfg, dest, Deps{
		Open: func(_ context.Context, from Checkpoint, _ change.LSN) (Consumer, error) {
			return &script{at: int(from.Commit), total: batches}, nil
		},
		Offsets: s.offsets, Log: slog.New(slog.NewTextHandler(s.log, nil)), Metrics: NewMetrics(s.reg),
	})
	return s
}

func (s *stage) start(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() { s.ended <- s.Run(ctx) }()
}

func (s *stage) stop(t *testing.T) {
	t.Helper()
	s.cancel()
	if err := <-s.ended; err != nil {
		t.Errorf("a stop gave %v", err)
	}
}

// pass lets the bubble's time pass, and everything that is due by then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestRunnerApplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &memory{}, 2000)
		if got := s.Status(); got.State != StateStopped || got.AppliedLSN != 0 {
			t.Errorf("before the start: %+v", got)
		}
		s.start(t)
		pass(10 * time.Second)
		got := s.Status()
		if got.State != StateRunning || got.AppliedLSN != 2000 || !got.Complete || got.LagSeconds < 7 || got.LagSeconds > 9 {
			t.Errorf("status %+v", got)
		}
		s.stop(t)
		if s.offsets.last != 2000 || s.offsets.group != "sluice-crm-billing" || s.offsets.times > 5 {
			t.Errorf("offsets %+v", s.offsets)
		}
		if s.dest.closed != 1 || s.Status().State != StateStopped {
			t.Errorf("closed %d times, %+v", s.dest.closed, s.Status())
		}
		s.wantMetrics(t, "sluice_sync_records_total", `
			sluice_sync_records_total{result="applied",sink="billing",table="public.accounts"} 2000
			sluice_sync_records_total{result="failed",sink="billing",table="public.accounts"} 0`)
		if n := testutil.CollectAndCount(s.reg, "sluice_sync_latency_seconds", "sluice_drift_records", "sluice_recovery_seconds", "sluice_sink_lag_seconds"); n != 6 {
			t.Errorf("%d series of latency, drift, recovery and lag, want 1+3+1+1", n)
		}
	})
}

// wantMetrics compares the samples of one metric.
func (s *stage) wantMetrics(t *testing.T, name, want string) {
	t.Helper()
	err := testutil.GatherAndCompare(s.reg, strings.NewReader("# TYPE "+name+" counter\n"+want+"\n"), name)
	if err != nil && !strings.Contains(err.Error(), "HELP") {
		t.Error(err)
	}
}

func TestRunnerTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := 3
		dest := &memory{apply: func(_ context.Context, b *Batch) error {
			if b.Checkpoint.Commit == 5 && failures > 0 {
				failures--
				return passing{errors.New("deadlock detected")}
			}
			return nil
		}}
		s := newStage(t, dest, 10)
		s.start(t)
		pass(time.Minute)
		if got := s.Status(); got.AppliedLSN != 10 || dest.resumed != 4 || dest.applied != 10 {
			t.Errorf("%+v, resumed %d times, applied %d batches", got, dest.resumed, dest.applied)
		}
		if n := testutil.ToFloat64(s.deps.Metrics.retries); n != 3 {
			t.Errorf("%v retries", n)
		}
		if !strings.Contains(s.log.String(), "sink has caught up") {
			t.Errorf("no recovery in\n%s", s.log)
		}
		s.stop(t)
	})
}

func TestRunnerStopsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &memory{apply: func(_ context.Context, b *Batch) error {
			if b.Checkpoint.Commit == 3 {
				return errors.New("table crm.customers, key id=7: column vat is too short")
			}
			return nil
		}}
		s := newStage(t, dest, 10)
		s.start(t)
		err := <-s.ended
		for _, want := range []string{"sink billing stopped", "everything up to commit 0/2", "id=7"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q in it", err, want)
			}
		}
		if got := s.Status(); got.State != StateStopped || !strings.Contains(got.Reason, "id=7") || dest.closed != 1 {
			t.Errorf("%+v", got)
		}
		s.cancel()
	})
}

// A held sink gives its lease back, looks again by itself, and goes on when what held it is gone.
func TestRunnerIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var allowed atomic.Bool
		dest := &memory{apply: func(_ context.Context, b *Batch) error {
			if b.Checkpoint.Commit == 3 && !allowed.Load() {
				return &HeldError{Table: "public.accounts", Why: HoldTruncate, Reason: "TRUNCATE is refused: write truncate: apply"}
			}
			return nil
		}}
		s := newStage(t, dest, 10)
		s.start(t)
		pass(time.Minute)
		got := s.Status()
		if got.State != StateHeld || got.AppliedLSN != 2 || !strings.Contains(got.Reason, "truncate: apply") {
			t.Errorf("%+v", got)
		}
		if resumed, closed := dest.leases(); resumed < 8 || resumed != closed {
			t.Errorf("a held sink: %d resumes, %d closes", resumed, closed)
		}
		allowed.Store(true)
		pass(10 * time.Second)
		if got := s.Status(); got.State != StateRunning || got.AppliedLSN != 10 || got.Reason != "" {
			t.Errorf("%+v", got)
		}
		s.stop(t)
		if n := strings.Count(s.log.String(), "sink is held"); n != 1 {
			t.Errorf("%d lines for one reason", n)
		}
	})
}

func TestRunnerStandsBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fenced := false
		dest := &memory{
			resume: func(n int) error {
				if n <= 5 || n == 7 {
					return ErrLeased
				}
				return nil
			},
			apply: func(context.Context, *Batch) error {
				if !fenced {
					fenced = true
					return ErrFenced
				}
				return nil
			},
		}
		s := newStage(t, dest, 3)
		s.start(t)
		pass(3500 * time.Millisecond)
		if got := s.Status(); got.State != StateStandby {
			t.Errorf("%+v", got)
		}
		pass(time.Minute)
		if got := s.Status(); got.State != StateRunning || got.AppliedLSN != 3 || dest.resumed != 8 {
			t.Errorf("%+v after %d resumes", got, dest.resumed)
		}
		if n := strings.Count(s.log.String(), "standing by: another process serves"); n != 2 {
			t.Errorf("%d lines for two waits", n)
		}
		s.stop(t)
	})
}

func TestRunnerFinishesTheBatchUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &memory{apply: func(ctx context.Context, b *Batch) error {
			time.Sleep(10 * time.Second)
			return ctx.Err()
		}}
		s := newStage(t, dest, 3)
		s.start(t)
		pass(5 * time.Second)
		s.stop(t)
		if dest.applied != 1 || dest.held.Commit != 1 || s.offsets.last != 1 {
			t.Errorf("applied %d, at %v, offsets %v", dest.applied, dest.held.Commit, s.offsets.last)
		}
	})
}

func TestRunnerDrainsForAWhileOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &memory{apply: func(ctx context.Context, b *Batch) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		s := newStage(t, dest, 3)
		s.start(t)
		pass(time.Second)
		asked := time.Now()
		s.stop(t)
		if took := time.Since(asked); took != DefaultDrainTimeout {
			t.Errorf("the stop took %v", took)
		}
	})
}

func TestRunnerPreparesOneBatchAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dues := make(chan context.Context, 10)
		dest := &memory{apply: func(ctx context.Context, b *Batch) error {
			time.Sleep(time.Second)
			return nil
		}}
		s := newStage(t, dest, 3)
		s.Runner.deps.Open = func(context.Context, Checkpoint, change.LSN) (Consumer, error) {
			return &script{total: 3, dues: dues}, nil
		}
		s.start(t)
		pass(500 * time.Millisecond)
		if len(dues) != 2 {
			t.Fatalf("%d batches were asked for while the first is applied", len(dues))
		}
		<-dues
		second := <-dues
		if second.Err() != nil {
			t.Error("the second batch is due while the first is applied")
		}
		pass(time.Second)
		if second.Err() == nil {
			t.Error("the second batch is not due though the first is applied")
		}
		s.stop(t)
	})
}
