package capture

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicecdc/sluice/capture/snapshot"
)

// session takes the slot and captures until the connection, the publisher or ctx ends.
func (c *Capture) session(ctx context.Context) error {
	le, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer le.close()
	c.shapes.begin(!c.text)
	group, gctx := errgroup.WithContext(ctx)
	ready := make(chan struct{}) // closed when the downstream is open
	after := func(f func(context.Context) error) {
		group.Go(func() error {
			select {
			case <-ready:
				return f(gctx)
			case <-gctx.Done():
				return nil
			}
		})
	}
	group.Go(func() error { return le.stream.receive(gctx) })
	group.Go(func() error { return c.work(gctx, le, ready) })
	group.Go(func() error { return c.beat(gctx) })
	after(c.watch)
	after(c.watchVisible)
	after(c.obeyRequests)
	after(c.watchReplicas)
	for range c.cfg.Snapshot.Workers {
		after(c.copyWork)
	}
	err = group.Wait()
	var f *fatalError
	if ctx.Err() != nil && !errors.As(err, &f) && c.down != nil {
		c.drain(ctx, le.stream)
	}
	return err
}

// work decodes and publishes, after the downstream is open, and closes ready then. Meanwhile the receiver
// fills its slabs and waits.
func (c *Capture) work(ctx context.Context, le *lease, ready chan struct{}) error {
	if err := c.ready(ctx, le); err != nil {
		return err
	}
	d := c.decoder
	d.proven = func() { le.stream.proven.Store(true) }
	d.expect(le.stream.floor + d.shift)
	c.setState(StateStreaming)
	if err := d.copies.begin(ctx); err != nil {
		return err
	}
	c.log.Info("streaming", "server", c.source.where, "lsn", c.progress.confirmable(), "binary", !c.text)
	close(ready)
	d.open, d.described = false, nil
	d.stopping.Store(false)
	// At a stop the decoder ends after the change at hand. Publish itself is not interrupted, as an
	// error would end the publisher, until the time to drain is over.
	stop := context.AfterFunc(ctx, func() { d.stopping.Store(true) })
	defer stop()
	pctx, cancel := c.patient(ctx)
	defer cancel()
	return c.orGap(pctx, d.run(pctx, le.stream.out, le.stream.pool))
}

// orGap makes a gap of an error that says that the log is another one.
func (c *Capture) orGap(ctx context.Context, err error) error {
	var fork *forkError
	if !errors.As(err, &fork) {
		return err
	}
	if _, err := c.lose(ctx, fork.Error()); err != nil {
		return err
	}
	return errGapNoted
}

// patient gives a context that ends DrainTimeout after ctx.
func (c *Capture) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(c.cfg.DrainTimeout)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-later.Done():
		}
	})
	return later, func() { stop(); cancel() }
}

// ready opens the downstream, and makes sure that what it holds and what the slot will send are one.
func (c *Capture) ready(ctx context.Context, le *lease) error {
	if err := c.attach(ctx); err != nil {
		return err
	}
	l, known, err := c.readLedger()
	if err != nil {
		return fatal(err)
	}
	g, err := c.findGap(ctx, l, known, le)
	switch {
	case err != nil:
		return err
	case g != nil:
		err = c.bridge(ctx, le, l, g)
	case !known || le.created != nil:
		err = c.beginAnew(ctx, le)
	default:
		err = c.goOn(ctx, l, le.system)
	}
	if err != nil {
		return err
	}
	c.decoder.place.last = max(c.decoder.place.last, le.stream.floor+c.decoder.shift)
	return c.firstCopies(ctx, le.created != nil)
}

// goOn notes what is another way than before and no gap.
func (c *Capture) goOn(ctx context.Context, l ledger, s system) error {
	now := l
	now.system, now.Publication = s, c.publication
	if now == l {
		return nil
	}
	if now.Timeline != l.Timeline {
		c.log.Info("the source is on another timeline than before", "timeline", now.Timeline, "before", l.Timeline)
	}
	return c.writeLedger(ctx, now)
}

// findGap looks for a loss of continuity, or gives the one that is noted already.
func (c *Capture) findGap(ctx context.Context, l ledger, known bool, le *lease) (*gap, error) {
	g, err := c.openGap()
	if g != nil || err != nil || c.untouched() {
		return g, err
	}
	reason := c.stateLost()
	if known {
		if reason, err = c.broken(ctx, l, le); err != nil || reason == "" {
			return nil, err
		}
	}
	return c.lose(ctx, reason)
}

// beginAnew notes what the records will rest on, where nothing was published. The slot may be one that an
// earlier run made and could not enter: nothing of it was confirmed.
func (c *Capture) beginAnew(ctx context.Context, le *lease) error {
	k := c.decoder.copies
	if err := k.restore(ctx); err != nil {
		return err
	}
	for _, t := range k.all { // of a slot before, of which nothing came
		if err := t.remove(ctx, c.down); err != nil {
			return err
		}
	}
	k.all, k.recent = nil, nil
	return c.enter(ctx, le)
}

// enter notes what the records rest on from now on.
func (c *Capture) enter(ctx context.Context, le *lease) error {
	l := ledger{
		Slot: c.cfg.Slot, LSN: le.stream.floor + c.decoder.shift, Shift: c.decoder.shift,
		Publication: c.publication, system: le.system,
	}
	if err := c.writeLedger(ctx, l); err != nil {
		return err
	}
	return c.shapes.keep(ctx, l.LSN)
}

// firstCopies has the tables copied that were not yet.
func (c *Capture) firstCopies(ctx context.Context, fresh bool) error {
	if err := c.decoder.copies.restore(ctx); err != nil {
		return err
	}
	if c.cfg.Snapshot.Mode == SnapshotNever {
		return nil
	}
	barrier, err := c.barrier(ctx, fresh)
	if err != nil {
		return err
	}
	for _, t := range c.tables {
		if err := c.decoder.copies.first(ctx, t, barrier); err != nil {
			return err
		}
	}
	return c.decoder.copies.drop(ctx, c.tables)
}

// barrier gives the view of now where the slot is older than the publication of a table may be: transactions of
// that time must end before its rows are read. A fresh slot needs none.
func (c *Capture) barrier(ctx context.Context, fresh bool) (*snapshot.View, error) {
	if fresh {
		return nil, nil
	}
	return c.lookView(ctx)
}

// drain waits for what was handed over to become durable, and tells PostgreSQL. Nothing comes after
// it, so that the next start has as little as possible sent, or copied, again.
func (c *Capture) drain(ctx context.Context, s *stream) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.DrainTimeout)
	defer cancel()
	c.down.Flush()
	check := time.NewTicker(5 * time.Millisecond)
	defer check.Stop()
	for !c.progress.drained() {
		select {
		case <-check.C:
			c.down.Flush()
		case <-ctx.Done():
			c.log.Warn("stopped before everything was durable; it will be sent again at the next start", "waited", c.cfg.DrainTimeout)
			return
		}
		if s != nil && s.report() != nil {
			s = nil // the connection is lost; what is durable is durable all the same
		}
	}
	if s != nil {
		_ = s.tell(s.confirmable(), time.Now())
	}
	if err := c.down.Settle(ctx); err != nil {
		c.log.Warn("stopped before the state of the copies was durable; what it lacks will be copied again at the next start", "error", err)
	}
}

// lease is the slot while it is ours.
type lease struct {
	stream  *stream
	system  system
	created *newSlot // nil when the slot existed
}

func (l *lease) close() { l.stream.close() }
