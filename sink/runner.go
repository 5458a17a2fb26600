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
	// Steering brings what people want of the sink; nil when nobody steers it. Run waits for the first wishes.
	Steering *Steering
	// Post shows to other processes what waits for a person, nil for nothing; it may be nil.
	Post func(ctx context.Context, w *Waiting) error
	// Ask has capture send rows again, whole. It returns when that is durable. It may be nil: then nobody asks for the
	// rows that a destination waits for.
	Ask func(ctx context.Context, wishes []Wish) error
	// DrainTimeout bounds the batch under way when Run is asked to stop; 0 is DefaultDrainTimeout.
	DrainTimeout time.Duration
	Log          *slog.Logger
	Metrics      *Metrics
}

// Runner feeds one destination.
type Runner struct {
	cfg     Config
	dest    Sink
	watcher Watcher // nil when the destination is none
	deps    Deps
	log     *slog.Logger
	status  board
	metrics *sinkMetrics
	backoff retry.Backoff
	// steering is what people want, cadence what the configuration does.
	steering *Steering
	cadence  Cadence
	// last is what the destination held when the sink had the lease, once it has had it (seen).
	last Checkpoint
	seen bool
	// held is why the sink waits for a person; nil when it does not.
	held    *HeldError
	shown   bool       // to other processes
	tidied  change.LSN // of what is shown to them no more
	looking retry.Backoff
	// alone is the commit of the group that held the sink last: what is before it is applied without it.
	alone change.LSN
	// failed is when the failure that is being recovered from happened; zero when all is well.
	failed time.Time
	// rested says that the next attempt follows a rest: what it catches up with was no failure.
	rested bool
	// counted is when the rows that are waited for were counted last; zero when there were none.
	counted time.Time
}

// New gives a runner; it does not connect. The runner owns dest and closes it at the end of Run.
func New(cfg Config, dest Sink, deps Deps) *Runner {
	cfg.SetDefaults()
	if deps.DrainTimeout == 0 {
		deps.DrainTimeout = DefaultDrainTimeout
	}
	r := &Runner{backoff: waits(), looking: looks(), cfg: cfg, dest: dest, watcher: watcherOf(dest), deps: deps, log: deps.Log.With("sink", cfg.Name)}
	r.metrics = newSinkMetrics(deps.Metrics, &cfg)
	r.cadence = *cfg.Cadence
	if r.steering = deps.Steering; r.steering == nil {
		r.steering = NewSteering()
		r.steering.Set(Wishes{})
	}
	r.status.init(r.cadence)
	deps.Metrics.lag.watch(cfg.Name, func() float64 { return r.Status().LagSeconds })
	deps.Metrics.late.watch(cfg.Name, func() float64 { return r.Status().LateSeconds })
	deps.Metrics.awaited.watch(cfg.Name, r.awaitedTables)
	return r
}

// Steer takes what people want, all of it each time. Any goroutine may call it.
func (r *Runner) Steer(w Wishes) { r.steering.Set(w) }

// Status tells where the sink stands. Any goroutine may ask.
func (r *Runner) Status() Status { return r.status.get() }

// Run applies until ctx ends (nil: the batch under way was finished) or an error is permanent. It is
// called once. A sink that is held gives its lease back, and looks every few seconds whether it can go on.
func (r *Runner) Run(ctx context.Context) (err error) {
	defer func() {
		err = errors.Join(err, r.closeDestination())
		r.status.stop(err)
	}()
	r.status.set(StateStopped, "waits to hear whether it is paused, and what was decided")
	if r.steering.first(ctx); ctx.Err() != nil {
		return nil
	}
	for {
		r.rest(ctx)
		_, changed := r.steering.now() // before the attempt looks at them
		err := r.attempt(ctx)
		switch held := (*HeldError)(nil); {
		case ctx.Err() != nil:
			r.stopped(ctx, err)
			return nil
		case errors.Is(err, errRest):
			r.lie()
		case errors.As(err, &held) && r.mixed(held):
			r.alone = held.At
		case errors.As(err, &held):
			r.hold(ctx, held, changed)
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

// attempt takes the lease and applies until something fails, or the sink is to rest.
func (r *Runner) attempt(ctx context.Context) error {
	before := r.steering.get()
	life, end := r.steering.while(ctx, func(w *Wishes) bool { return !w.Paused && !w.more(&before) })
	defer end()
	err := r.serve(life)
	if resting(ctx, life, err) {
		return errRest
	}
	return err
}

func (r *Runner) serve(ctx context.Context) error {
	from, err := r.resume(ctx)
	if err != nil {
		return err
	}
	r.status.applied(from)
	r.countParked()
	r.counted = time.Time{} // another process may have served the sink meanwhile
	if _, err := r.lookForAwaited(ctx); err != nil {
		return err
	}
	r.tidied = 0
	r.tidy(ctx, from)
	if r.note(from) {
		return errRest
	}
	if r.failed.IsZero() && from.Commit > 0 && !r.rested {
		r.failed = time.Now() // a restart: what came meanwhile is to be caught up with
	}
	r.rested = false
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

// countParked shows how many changes are set aside.
func (r *Runner) countParked() {
	if p, ok := r.dest.(interface{ Parked() int64 }); ok {
		r.status.park(p.Parked())
	}
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
			r.forgetAwaited()
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
// Wishes that have changed since the attempt began are one.
func (r *Runner) hold(ctx context.Context, held *HeldError, changed <-chan struct{}) {
	w := held.Waiting
	if w == nil {
		w = &Waiting{Table: held.Table, Kind: held.Why, At: held.At, Since: time.Now().UTC(), Reason: held.Error()}
	}
	if !held.same(r.held) {
		log := r.log
		if len(w.Samples) > 0 {
			log = log.With("keys", w.Samples)
		}
		log.Error("sink is held: its position is kept and nothing of the batch was applied", "table", held.Table, "reason", held.Reason)
		r.release(ctx)
		r.held, r.shown = held, false
		r.metrics.hold(held, 1)
	} else if held.Waiting == nil {
		w.Since = r.status.since(w.Since)
	}
	if r.failed.IsZero() {
		r.failed = time.Now()
	}
	if !r.shown {
		r.shown = r.post(ctx, w) // before another process can serve the sink, or a person sees it: what was counted is forgotten then
	}
	r.status.hold(w)
	if err := r.closeDestination(); err != nil {
		r.log.Warn("sink is held and keeps its lease", "error", err)
	}
	look := r.looking.Next()
	if r.shown && held.Waiting != nil && r.deps.Steering != nil {
		look = 0 // only a person can change it
	}
	waitFor(ctx, changed, look) // the caller looks at ctx
}

// mixed tells whether groups before the one that holds the sink may have stood in the batch with it. They
// are applied first, so that a person who changes the destination for the one does not meet the others.
func (r *Runner) mixed(held *HeldError) bool { return held.At != 0 && held.At != r.alone }

// release says that what held the sink does so no more.
func (r *Runner) release(ctx context.Context) {
	if r.held == nil {
		return
	}
	r.metrics.hold(r.held, 0)
	r.tidied, r.held = r.held.At, nil
	r.looking.Reset()
	r.post(ctx, nil)
}

// lie gives the lease back, and remembers that no failure is being recovered from.
func (r *Runner) lie() {
	r.rested = true
	if err := r.closeDestination(); err != nil {
		r.log.Warn("sink rests and keeps its lease", "error", err)
	}
}

func (r *Runner) explain(err error) error {
	at := r.status.get()
	return fmt.Errorf("sink %s stopped, its destination holds everything up to commit %s and nothing was skipped: %w", r.cfg.Name, at.AppliedLSN, err)
}
