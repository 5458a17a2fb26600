package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
)

// feed applies the consumer's batches until an error, or until ctx ends: then the batch under way is
// finished, within the drain timeout.
func (r *Runner) feed(ctx context.Context, consumer Consumer) (err error) {
	ahead := readAhead(ctx, consumer)
	defer ahead.stop()
	offsets := r.commitOffsets(ctx)
	defer offsets.stop()
	asker := r.ask(ctx)
	defer asker.stop()
	applying, cancel := lingering(ctx, r.deps.DrainTimeout)
	defer cancel()
	defer r.metrics.forget()
	for {
		b, err := ahead.next(ctx)
		if err != nil {
			return err
		}
		crash.At("fetched")
		if err := r.dest.Apply(applying, b); err != nil {
			if held := (*HeldError)(nil); !Retryable(err) && r.held == nil && !(errors.As(err, &held) && r.mixed(held)) {
				r.metrics.fail(b)
			}
			return fmt.Errorf("cannot apply the groups %s: %w", describe(b), err)
		}
		var looked error
		if !b.Open {
			looked = asker.look(applying) // before anybody is told that the destination is complete
		}
		r.applied(ctx, b, offsets)
		if b.Open {
			continue
		}
		if looked != nil {
			return fmt.Errorf("cannot look for rows that are waited for: %w", looked)
		}
		if r.note(b.Checkpoint) {
			return errRest
		}
	}
}

// describe names a batch for an error.
func describe(b *Batch) string {
	if b.Open {
		return "of a large transaction, piece by piece"
	}
	return "up to commit " + b.Checkpoint.Commit.String()
}

// applied tells everybody who wants to know.
func (r *Runner) applied(ctx context.Context, b *Batch, offsets *offsetCommitter) {
	now := time.Now()
	r.metrics.apply(b, now)
	r.noticeForeign()
	r.backoff.Reset()
	if r.held != nil && !b.Open && b.Checkpoint.Commit >= r.held.At {
		r.log.Info("sink goes on: what held it is gone", "table", r.held.Table)
		r.release(ctx)
		r.status.set(StateRunning, "")
	}
	if b.Open {
		return
	}
	r.status.applied(b.Checkpoint)
	r.countParked()
	r.tidy(ctx, b.Checkpoint)
	offsets.offer(b.Checkpoint.Offsets)
	if !r.failed.IsZero() && timeOf(b.Checkpoint.Time).After(r.failed) {
		r.metrics.recovery.Observe(now.Sub(r.failed).Seconds())
		r.log.Info("sink has caught up", "lsn", b.Checkpoint.Commit, "after", now.Sub(r.failed).Round(time.Millisecond))
		r.failed = time.Time{}
	}
}

func timeOf(t change.Micros) time.Time { return time.UnixMicro(int64(t)).UTC() }

// lingering gives a context that outlives ctx by d, for work that should be finished.
func lingering(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-ended:
		}
	})
	return out, func() { stop(); close(ended); cancel() }
}
