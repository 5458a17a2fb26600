package sink

import (
	"context"
	"log/slog"
)

// Consumer gives whole groups in commit order. One goroutine uses it.
type Consumer interface {
	// Next blocks until there is a batch. Small groups are gathered up to the batch's limits while due
	// is not done, and from then on the batch is given as soon as nothing more is at hand. The batch
	// stays valid until the second call after this one, so that one may be prepared while another is
	// applied. An error is final.
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
	// Open starts reading behind a checkpoint (consume.Open).
	Open func(ctx context.Context, from Checkpoint) (Consumer, error)
	// Offsets may be nil: then no offsets are committed for lag tools.
	Offsets Offsets
	Log     *slog.Logger
	Metrics *Metrics
}

// Runner feeds one destination.
type Runner struct {
	cfg  Config
	dest Sink
	deps Deps
}

// New gives a runner; it does not connect. The runner owns dest and closes it at the end of Run.
func New(cfg Config, dest Sink, deps Deps) *Runner {
	cfg.SetDefaults()
	return &Runner{cfg: cfg, dest: dest, deps: deps}
}

// Run applies until ctx ends (nil: the batch under way was finished) or an error is permanent. It
// must be called once.
func (r *Runner) Run(ctx context.Context) error { panic("stub") }

// Status tells where the sink stands. Any goroutine may ask.
func (r *Runner) Status() Status { panic("stub") }
