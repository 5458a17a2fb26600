package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/retry"
)

const (
	// leaseCheck is how often a standby asks whether the sink is free.
	leaseCheck = time.Second
	// DefaultDrainTimeout bounds the batch under way when Run is asked to stop.
	DefaultDrainTimeout = 30 * time.Second
)

// waits are the pauses between attempts: the first is about the time of a short lock, the longest what an operator
// who has repaired the destination is willing to wait for.
func waits() retry.Backoff {
	return retry.Backoff{First: 100 * time.Millisecond, Most: 15 * time.Second}
}

// looks are the pauses between two looks of a held sink at what holds it: each reads the batch again.
func looks() retry.Backoff {
	return retry.Backoff{First: time.Second, Most: 8 * time.Second}
}

// Consumer gives whole groups in commit order. One goroutine uses it.
type Consumer interface {
	// Next blocks until there is a batch. Small groups are gathered up to the batch's limits while due
	// is not done, and from then on the batch is given as soon as nothing more is at hand. The batch
	// stays valid until the second call after this one, so that one may be prepared while another is
	// applied; the maps of its checkpoint stay valid for good. An error is final.
	Next(ctx, due context.Context) (*Batch, error)
	// Close ends the reading.
	Close() error
}

// Offsets stores what lag tools look at (kafka.Client).
type Offsets interface {
	CommitOffsets(ctx context.Context, group string, offsets map[string]map[int32]int64) error
}

// Deps are the things that a runner works with.
type Deps struct {
	// Open starts reading behind a checkpoint (consume.Open). The group with the commit alone, when it is
	// not 0, begins a batch.
	Open func(ctx context.Context, from Checkpoint, alone change.LSN) (Consumer, error)
	// Offsets may be nil: then no offsets are committed for lag tools.
	Offsets Offsets
	// DrainTimeout bounds the batch under way when Run is asked to stop; 0 is DefaultDrainTimeout.
	DrainTimeout time.Duration
	Log          *slog.Logger
	Metrics      *Metrics
}

// Runner feeds one destination.
type Runner struct {
	cfg     Config
	dest    Sink
	deps    Deps
	log     *slog.Logger
	status  board
	metrics *sinkMetrics
	backoff retry.Backoff
	// held is why the sink waits for a person; nil when it does not.
	held    *HeldError
	looking retry.Backoff
	// alone is the commit of the group that held the sink last: what is before it is applied without it.
	alone change.LSN
	// failed is when the failure that is being recovered from happened; zero when all is well.
	failed time.Time
}

// New gives a runner; it does not connect. The runner owns dest and closes it at the end of Run.
func New(cfg Config, dest Sink, deps Deps) *Runner {
	cfg.SetDefaults()
	if deps.DrainTimeout == 0 {
		deps.DrainTimeout = DefaultDrainTimeout
	}
	r := &Runner{backoff: waits(), looking: looks(), cfg: cfg, dest: dest, deps: deps, log: deps.Log.With("sink", cfg.Name)}
	r.metrics = newSinkMetrics(deps.Metrics, &cfg)
	r.status.init()
	deps.Metrics.lag.watch(cfg.Name, func() float64 { return r.Status().LagSeconds })
	return r
}

// Status tells where the sink stands. Any goroutine may ask.
func (r *Runner) Status() Status { return r.status.get() }

// Run applies until ctx ends (nil: the batch under way was finished) or an error is permanent. It is
// called once. A sink that is held gives its lease back, and looks every few seconds whether it can go on.
func (r *Runner) Run(ctx context.Context) (err error) {
	defer func() {
		err = errors.Join(err, r.closeDestination())
		r.status.stop(err)
	}()
	for {
		err := r.attempt(ctx)
		switch held := (*HeldError)(nil); {
		case ctx.Err() != nil:
			r.stopped(ctx, err)
			return nil
		case errors.As(err, &held) && r.mixed(held):
			r.alone = held.At
		case errors.As(err, &held):
			r.hold(ctx, held)
		case errors.Is(err, ErrFenced):
			r.log.Warn("another process has taken the sink over: standing by")
			_ = retry.Wait(ctx, leaseCheck) // the loop looks at ctx
		case Retryable(err):
			r.retry(ctx, err)
		default:
			return r.explain(err)
		}
	}
}

// stopped tells of an error that came while stopping: the next start meets it again, if it is real.
func (r *Runner) stopped(ctx context.Context, err error) {
	if !errors.Is(err, ctx.Err()) {
		r.log.Warn("sink stopped with a batch not applied; it will be read again", "error", err)
	}
}

func (r *Runner) closeDestination() error {
	if err := r.dest.Close(); err != nil {
		return fmt.Errorf("sink %s: cannot close the destination: %w", r.cfg.Name, err)
	}
	return nil
}

// attempt takes the lease and applies until something fails.
func (r *Runner) attempt(ctx context.Context) error {
	from, err := r.resume(ctx)
	if err != nil {
		return err
	}
	if r.failed.IsZero() && from.Commit > 0 {
		r.failed = time.Now() // a restart: what came meanwhile is to be caught up with
	}
	r.status.applied(from)
	if r.held == nil {
		r.status.set(StateRunning, "")
	}
	consumer, err := r.deps.Open(ctx, from, r.alone)
	if err != nil {
		return err
	}
	err = r.feed(ctx, consumer)
	if e := consumer.Close(); e != nil {
		r.log.Warn("cannot close the reading of Kafka", "error", e)
	}
	return err
}

// resume waits for the lease.
func (r *Runner) resume(ctx context.Context) (Checkpoint, error) {
	for standby := false; ; {
		from, err := r.dest.Resume(ctx)
		if !errors.Is(err, ErrLeased) {
			if err == nil {
				r.log.Info("sink has the lease", "lsn", from.Commit)
			}
			return from, err
		}
		if !standby {
			r.log.Info("standing by: another process serves this sink")
			r.status.set(StateStandby, ErrLeased.Error())
			standby = true
		}
		if err := retry.Wait(ctx, leaseCheck); err != nil {
			return from, err
		}
	}
}

// retry waits before the next attempt.
func (r *Runner) retry(ctx context.Context, err error) {
	if r.failed.IsZero() {
		r.failed = time.Now()
	}
	wait := r.backoff.Next()
	r.metrics.retries.Inc()
	r.status.set(StateStopped, "trying again after: "+err.Error())
	r.log.Warn("sink will try again from its checkpoint", "error", err, "wait", wait)
	_ = retry.Wait(ctx, wait) // the caller looks at ctx
}

// hold waits for a person, and for the next look at what they did. The lease goes back, with what is
// open: a held sink must not lock rows of the destination.
func (r *Runner) hold(ctx context.Context, held *HeldError) {
	if r.held == nil || *r.held != *held {
		r.log.Error("sink is held: its position is kept and nothing of the batch was applied", "table", held.Table, "reason", held.Reason)
		r.release()
		r.held = held
		r.metrics.hold(held, 1)
	}
	if r.failed.IsZero() {
		r.failed = time.Now()
	}
	r.status.set(StateHeld, held.Error())
	if err := r.closeDestination(); err != nil {
		r.log.Warn("sink is held and keeps its lease", "error", err)
	}
	_ = retry.Wait(ctx, r.looking.Next()) // the caller looks at ctx
}

// mixed tells whether groups before the one that holds the sink may have stood in the batch with it. They
// are applied first, so that a person who changes the destination for the one does not meet the others.
func (r *Runner) mixed(held *HeldError) bool { return held.At != 0 && held.At != r.alone }

// release says that what held the sink does so no more.
func (r *Runner) release() {
	if r.held == nil {
		return
	}
	r.metrics.hold(r.held, 0)
	r.held = nil
	r.looking.Reset()
}

func (r *Runner) explain(err error) error {
	at := r.status.get()
	return fmt.Errorf("sink %s stopped, its destination holds everything up to commit %s and nothing was skipped: %w", r.cfg.Name, at.AppliedLSN, err)
}
