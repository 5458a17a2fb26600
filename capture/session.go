package capture

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicecdc/sluice/capture/snapshot"
)

// errStartOver says that the slot exists but its snapshot was never finished.
var errStartOver = errors.New("the snapshot was not finished")

// session takes the slot and captures until the connection, the publisher or ctx ends.
func (c *Capture) session(ctx context.Context) error {
	le, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer le.close()
	c.shapes.begin(!c.text)
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return le.stream.receive(gctx) })
	group.Go(func() error { return c.work(gctx, le) })
	group.Go(func() error { return c.beat(gctx) })
	group.Go(func() error { return c.watch(gctx) })
	err = group.Wait()
	var f *fatalError
	if ctx.Err() != nil && !errors.As(err, &f) && c.down != nil {
		c.drain(ctx, le.stream)
	}
	return err
}

// work decodes and publishes, after what must come first: the downstream, and the snapshot of a new
// slot. Meanwhile the receiver fills its slabs and waits.
func (c *Capture) work(ctx context.Context, le *lease) error {
	if err := c.ready(ctx, le); err != nil {
		return err
	}
	c.setState(StateStreaming)
	c.log.Info("streaming", "server", c.source.where, "lsn", c.progress.confirmable(), "binary", !c.text)
	d := c.decoder
	d.open, d.described = false, nil
	d.stopping.Store(false)
	// At a stop the decoder ends after the change at hand. Publish itself is not interrupted, as an
	// error would end the publisher, until the time to drain is over.
	stop := context.AfterFunc(ctx, func() { d.stopping.Store(true) })
	defer stop()
	pctx, cancel := c.patient(ctx)
	defer cancel()
	return d.run(pctx, le.stream.out, le.stream.pool)
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

// ready opens the downstream and makes sure that the snapshot was taken.
func (c *Capture) ready(ctx context.Context, le *lease) error {
	if err := c.attach(ctx); err != nil {
		return err
	}
	l, err := c.readLedger()
	if err != nil {
		return fatal(err)
	}
	if le.created == nil {
		if err := c.continuity(l, le.system, true); err != nil {
			return fatal(err)
		}
	}
	switch {
	case l.Done:
		c.warnAdded(l)
		return nil
	case c.cfg.Snapshot.Mode == SnapshotNever:
		l := c.ledgerOf(le)
		l.Done = true
		return c.writeLedger(ctx, l)
	case le.created == nil:
		return errStartOver
	}
	return c.snapshot(ctx, le)
}

// drain waits for what was handed over to become durable, and tells PostgreSQL. Nothing comes after
// it, so that the next start has as little as possible sent again.
func (c *Capture) drain(ctx context.Context, s *stream) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.DrainTimeout)
	defer cancel()
	c.down.Flush()
	check := time.NewTicker(5 * time.Millisecond)
	defer check.Stop()
	for !c.progress.drained() {
		select {
		case <-check.C:
		case <-ctx.Done():
			c.log.Warn("stopped before everything was durable; it will be sent again at the next start", "waited", c.cfg.DrainTimeout)
			return
		}
		if s != nil && s.report() != nil {
			s = nil // the connection is lost; what is durable is durable all the same
		}
	}
	if s != nil {
		_ = s.tell(c.progress.confirmable(), time.Now())
	}
}

// lease is the slot while it is ours.
type lease struct {
	stream  *stream
	system  system
	created *newSlot         // nil when the slot existed
	reader  *snapshot.Reader // of the created slot's snapshot; nil when there is none to take
}

func (l *lease) close() {
	if l.reader != nil {
		l.reader.Close()
	}
	l.stream.close()
}

// warnAdded names tables that came into the configuration after the snapshot.
func (c *Capture) warnAdded(l ledger) {
	known := map[string]bool{}
	for _, t := range l.Tables {
		known[t] = true
	}
	for _, t := range c.tables {
		if name := t.QualifiedName(); !known[name] {
			c.log.Warn("table was added after the snapshot: its changes are captured, the rows that it had before are not in Kafka", "table", name)
		}
	}
}
