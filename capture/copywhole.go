package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// wholeCopy is a table that cannot be cut, on its way into the stream in one group. A slot that lives for
// the moment gives a snapshot that sees precisely what committed before at, so that its place is there.
// While it is published the stream waits.
type wholeCopy struct {
	copy   *tableCopy
	table  *change.Table
	at     change.LSN
	window *window
	holds  bool               // the stream
	turn   chan *change.Group // the group to publish into, when its place has come; nil when it is passed
	done   chan error         // what came of it
	rows   int64
	bytes  int64
}

// errPassed says that the stream has published changes of the table from after the snapshot.
var errPassed = errors.New("the stream was faster")

// holdAfter is how often a place is missed before the stream waits for the snapshot to be taken.
const holdAfter = 2

// wholeTable copies a table as a whole.
func (w *copyWorker) wholeTable(ctx context.Context, j *job) error {
	err := w.tryWhole(ctx, j)
	if errors.Is(err, errPassed) {
		return w.copies.call(ctx, func(context.Context) error { j.whole.missed++; return nil })
	}
	if err != nil {
		return w.giveUp(ctx, j, err)
	}
	return nil
}

// tryWhole takes a snapshot and waits for its place. With j.hold no transaction is published from before the
// snapshot is taken, which waits for the transactions that are open at the source, until its place is known.
func (w *copyWorker) tryWhole(ctx context.Context, j *job) error {
	o := &wholeCopy{copy: j.whole, table: j.table.Table, turn: make(chan *change.Group, 1), done: make(chan error, 1)}
	if err := w.copies.call(ctx, func(context.Context) error { w.copies.openWhole(o, j.hold); return nil }); err != nil {
		return err
	}
	defer func() {
		_ = w.copies.call(ctx, func(context.Context) error { w.copies.closeWhole(o); return nil })
	}()
	l, slot, err := w.export(ctx, j.hold)
	if err != nil {
		return err
	}
	defer l.close()
	o.at = slot.consistent + w.capture.progress.shift()
	return w.publishWhole(ctx, j, o, slot.snapshot)
}

// mostHold bounds the time that the stream waits for a snapshot.
const mostHold = 20 * time.Second

// export makes the slot whose snapshot is wanted, on a connection that keeps both alive.
func (w *copyWorker) export(ctx context.Context, hold bool) (*link, newSlot, error) {
	if hold {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, mostHold)
		defer cancel()
	}
	l, err := dial(ctx, w.capture.cfg)
	if err != nil {
		return nil, newSlot{}, err
	}
	slot, err := l.createTemporary(ctx, w.capture.cfg.Slot)
	if err != nil {
		l.close()
	}
	return l, slot, err
}

func (k *copies) openWhole(o *wholeCopy, hold bool) {
	o.window = k.open(o.copy, k.capture.decoder.current())
	if o.holds = hold; hold {
		k.holds++
	}
}

func (k *copies) closeWhole(o *wholeCopy) {
	k.shut(o.copy.OID, o.window)
	k.wholes = slices.DeleteFunc(k.wholes, func(w *wholeCopy) bool { return w == o })
	k.unhold(o)
	o.copy.planning = false
	k.signal()
}

// unhold lets the stream go on.
func (k *copies) unhold(o *wholeCopy) {
	if o.holds {
		o.holds = false
		k.holds--
	}
}

// publishWhole reads the table and publishes it when its place has come.
func (w *copyWorker) publishWhole(ctx context.Context, j *job, o *wholeCopy, snapshotName string) error {
	to := w.capture.decoder.to
	var g *change.Group
	begin := func() (err error) {
		g, err = w.awaitTurn(ctx, o)
		return err
	}
	emit := func(c *change.Change) error {
		o.rows++
		c.Ordinal, c.LSN = o.rows, o.at
		for i := range c.After {
			o.bytes += int64(len(c.After[i].Data))
		}
		if err := to.Publish(ctx, g, c); err != nil {
			return fatal(fmt.Errorf("cannot publish row %d of %s: %w", o.rows, c.Table.QualifiedName(), err))
		}
		return nil
	}
	err := w.reader.Whole(ctx, j.table, snapshotName, begin, emit)
	if g != nil {
		o.done <- err // the decoding goroutine waits, and ends the group
		return w.ended(err)
	}
	return err
}

// ended passes on what kept the reading from its end; what ends the publisher the decoder passes on.
func (w *copyWorker) ended(err error) error {
	var f *fatalError
	if errors.As(err, &f) {
		return nil
	}
	return err
}

// awaitTurn has the place of the snapshot looked out for, and waits for it.
func (w *copyWorker) awaitTurn(ctx context.Context, o *wholeCopy) (*change.Group, error) {
	err := w.copies.call(ctx, func(context.Context) error {
		if o.window.since(o.at) || w.capture.decoder.within(o.at) || !o.copy.active() {
			o.turn <- nil
			return nil
		}
		w.copies.start(o.copy)
		w.copies.wholes = append(w.copies.wholes, o)
		w.copies.unhold(o)
		w.capture.beatSoon()
		return nil
	})
	if err != nil {
		return nil, err
	}
	select {
	case g := <-o.turn:
		if g == nil {
			return nil, errPassed
		}
		return g, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// within tells whether we are in the middle of a transaction that commits at lsn or later.
func (d *decoder) within(lsn change.LSN) bool { return d.open && d.group.Commit >= lsn }

// mayBegin comes before a transaction that commits at next: tables whose place is before it are published,
// and no transaction begins while a snapshot is taken whose place is not known yet.
func (d *decoder) mayBegin(ctx context.Context, next change.LSN) error {
	if len(d.copies.wholes) == 0 && d.copies.holds == 0 {
		return nil
	}
	if err := d.wholeDue(ctx, next); err != nil {
		return err
	}
	look := time.NewTicker(tick)
	defer look.Stop()
	for d.copies.holds > 0 && !d.stopping.Load() {
		select {
		case f := <-d.copies.calls:
			if err := f(ctx); err != nil {
				return err
			}
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return d.wholeDue(ctx, next)
}

// wholeDue publishes the tables whose place is before a transaction that commits at next, or here.
func (d *decoder) wholeDue(ctx context.Context, next change.LSN) error {
	k := d.copies
	for i := 0; i < len(k.wholes); {
		o := k.wholes[i]
		if o.at > next {
			i++
			continue
		}
		k.wholes = append(k.wholes[:i:i], k.wholes[i+1:]...)
		if err := d.publishWhole(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// publishWhole hands the publisher to the worker until it has published the table.
func (d *decoder) publishWhole(ctx context.Context, o *wholeCopy) error {
	k := d.copies
	commit := d.place.last + 1
	if limit := max(d.place.at, o.at) - 1; commit > limit || !o.copy.active() || d.halfway() {
		o.turn <- nil
		return nil
	}
	d.place.last, o.copy.At, o.copy.Sees = commit, commit, o.at
	if err := o.copy.storeNow(ctx, k.capture.down); err != nil {
		return err
	}
	g := d.copyGroup(o.copy, commit)
	o.turn <- g
	var err error
	select {
	case err = <-o.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	var f *fatalError
	switch {
	case errors.As(err, &f):
		return err
	case err != nil:
		d.to.Abandon()
		return o.copy.takeBack(ctx, k.capture.down)
	}
	g.Repair = k.repair
	k.whole(o.copy, o.table, g)
	if err := d.endBetween(ctx, g); err != nil {
		return err
	}
	// Changes that come after the copy are published once its END is durable: a crash would have the table copied again
	// with them, and their records would stand in the topic without an END that counts them.
	if err := o.copy.storeNow(ctx, k.capture.down); err != nil {
		return err
	}
	return k.progress(ctx, o.copy, o.rows, o.bytes, true)
}
