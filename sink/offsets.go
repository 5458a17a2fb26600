package sink

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/crash"
	"github.com/sluicecdc/sluice/internal/retry"
)

const (
	offsetInterval = time.Second     // between two commits of offsets
	lastCommit     = 5 * time.Second // bounds the commit at the end
)

// GroupName is the consumer group whose offsets lag tools look at.
func GroupName(source, sink string) string { return "sluice-" + source + "-" + sink }

// offsetCommitter commits the newest offsets in the background. They are for lag tools: the
// destination's checkpoint is what counts, so a commit that fails is a line in the log.
type offsetCommitter struct {
	to      Offsets
	group   string
	log     *slog.Logger
	cancel  context.CancelFunc
	done    sync.WaitGroup
	failing bool

	wake   chan struct{}
	mu     sync.Mutex
	newest map[string]map[int32]int64 // not committed yet; nil when there is nothing
}

func (r *Runner) commitOffsets(ctx context.Context) *offsetCommitter {
	ctx, cancel := context.WithCancel(ctx)
	o := &offsetCommitter{
		to: r.deps.Offsets, group: GroupName(r.cfg.Source, r.cfg.Name), log: r.log,
		wake: make(chan struct{}, 1), cancel: cancel,
	}
	if o.to != nil {
		o.done.Go(func() { o.run(ctx) })
	}
	return o
}

// offer replaces what is not committed yet. It does not block.
func (o *offsetCommitter) offer(offsets map[string]map[int32]int64) {
	o.mu.Lock()
	o.newest = offsets
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *offsetCommitter) run(ctx context.Context) {
	for {
		select {
		case <-o.wake:
			o.commit(ctx)
		case <-ctx.Done():
			return
		}
		if retry.Wait(ctx, offsetInterval) != nil {
			return
		}
	}
}

func (o *offsetCommitter) commit(ctx context.Context) {
	o.mu.Lock()
	offsets := o.newest
	o.newest = nil
	o.mu.Unlock()
	if offsets == nil {
		return
	}
	err := o.to.CommitOffsets(ctx, o.group, offsets)
	if err == nil {
		crash.At("offsets committed")
		o.failing = false
		return
	}
	o.putBack(offsets)
	if ctx.Err() == nil && !o.failing {
		o.log.Warn("cannot commit offsets for lag tools; the sink goes on", "group", o.group, "error", err)
		o.failing = true
	}
}

// putBack keeps offsets for the next commit, unless there are newer ones.
func (o *offsetCommitter) putBack(offsets map[string]map[int32]int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.newest == nil {
		o.newest = offsets
	}
}

// stop ends the goroutine and commits what is left, with a time of its own.
func (o *offsetCommitter) stop() {
	o.cancel()
	o.done.Wait()
	if o.to == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastCommit)
	defer cancel()
	o.commit(ctx)
}
