package capture

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicecdc/sluice/capture/snapshot"
	"github.com/sluicecdc/sluice/internal/change"
)

// reading is a part of a table that a worker reads, or has read.
type reading struct {
	copy    *tableCopy
	chunk   int
	rng     snapshot.Range
	table   snapshot.Table
	learned *change.Table // what the stream knew of the table then
	window  *window
	rows    *snapshot.Chunk
}

// boundary is a place between two transactions where a chunk may be published.
type boundary struct {
	at   change.LSN    // all that committed before is published, and no later transaction commits before
	last change.LSN    // the highest position that was given
	time change.Micros // of the last transaction that was published; 0 before the first
}

// pass moves to a place that lies beyond.
func (b *boundary) pass(at change.LSN) { b.at = max(b.at, at) }

// take gives a position for a group: above all that were given, below those of transactions to come. The
// last two bytes before the place are left to whole tables, and to nobody. There is none when they are
// used up: the next commit brings some.
func (b *boundary) take() (change.LSN, bool) {
	if b.last+1 > b.at-2 || b.at < 2 {
		return 0, false
	}
	b.last++
	return b.last, true
}

// atBoundary publishes what was read and has its place here. After a while the stream has its turn.
func (d *decoder) atBoundary(ctx context.Context) error {
	k := d.copies
	k.unstall(d.place.at)
	for !d.open && !d.halfway() && !d.stopping.Load() {
		if err := d.wholeDue(ctx, d.place.at); err != nil {
			return err
		}
		r := k.due(d.place.at)
		if r == nil || !d.turn() {
			return nil
		}
		ok, err := d.publishReading(ctx, r)
		if !ok || err != nil {
			return err
		}
	}
	return nil
}

// halfway tells whether a transaction was handed over in part before the connection was lost: it comes again,
// and nothing may come before its rest.
func (d *decoder) halfway() bool { return d.partial.Commit > d.whole }

// due gives a reading that sees nothing that is not published yet, nil when there is none.
func (k *copies) due(at change.LSN) *reading {
	for _, r := range slices.Clone(k.ready) {
		switch {
		case r.rows.View.At() > at:
		case r.copy.waits(at):
			k.take(r) // it is read again: others have its place in memory meanwhile
		default:
			return r
		}
	}
	return nil
}

// stall leaves a copy that waits alone for now.
func (k *copies) stall() {
	k.stalled = true
	if k.capture.decoder.backlog() == 0 {
		k.capture.beatSoon() // the stream is idle: a commit of ours passes the place
	}
}

// unstall has workers look again once a copy waits no more.
func (k *copies) unstall(at change.LSN) {
	if k.stalled && slices.ContainsFunc(k.all, func(t *tableCopy) bool { return t.active() && !t.held.IsZero() && !t.waits(at) }) {
		k.stalled = false
		k.signal()
	}
}

// lacks has the copies of a table end behind a position, up to which changes lack values. It tells whether the
// later changes will be looked at again.
func (k *copies) lacks(oid uint32, at change.LSN) bool {
	again := true
	for _, t := range k.all {
		switch {
		case t.OID != oid || !t.active():
		case t.tired():
			again = false
		default:
			t.lacking = max(t.lacking, at+k.capture.progress.shift())
		}
	}
	return again
}

// turn tells whether it is the copies' turn: the stream has had as much time as the last chunk took, or
// has nothing to do.
func (d *decoder) turn() bool {
	k := d.copies
	return d.backlog() == 0 || time.Since(k.ended) >= k.ended.Sub(k.took)
}

// publishReading publishes a chunk; not ok says that there is no position for it now.
func (d *decoder) publishReading(ctx context.Context, r *reading) (ok bool, err error) {
	k := d.copies
	t, current := d.tableOf(r)
	if !current { // read in a shape that is another by now: it is read again
		k.take(r)
		return true, nil
	}
	commit, ok := d.place.take()
	if !ok {
		k.capture.beatSoon() // a commit of ours brings more places
		return false, nil
	}
	k.take(r)
	k.took = time.Now()
	g := d.copyGroup(r.copy, commit)
	rows, err := d.publishRows(ctx, r, t, g)
	if err != nil {
		return false, err
	}
	r.rows.Release()
	g.Repair = k.repair
	done := r.copy.finish(r.chunk)
	if done {
		k.whole(r.copy, t, g)
	}
	if rows > 0 || g.Swept != nil {
		if err := d.endBetween(ctx, g); err != nil {
			return false, err
		}
	}
	k.ended = time.Now()
	return true, k.progress(ctx, r.copy, rows, r.rows.Bytes(), done)
}

// whole notes that the last rows of a copy are those of a group. Destinations replace those of a table without
// key that they have already.
func (k *copies) whole(c *tableCopy, t *change.Table, g *change.Group) {
	if c.Kind == CopyRepair || c.Kind == CopyAsked && c.Whole {
		g.Swept = t
	}
	c.State = CopyDone
	k.update()
}

// take takes a reading that is published, or of no use, from those that wait.
func (k *copies) take(r *reading) {
	k.ready = slices.DeleteFunc(k.ready, func(o *reading) bool { return o == r })
	k.close(r)
}

// tableOf gives the table version that a reading is published in. When the stream has learned another shape
// since, the reading is of no use.
func (d *decoder) tableOf(r *reading) (t *change.Table, current bool) {
	var now *change.Table
	if s := d.shapes.byOID[r.copy.OID]; s != nil {
		now = s.table
	}
	switch {
	case now == nil:
		return r.table.Table, true
	case sameShape(now, r.table.Table):
		return now, true
	}
	return r.table.Table, now == r.learned
}

// copyGroup begins a group of copied rows.
func (d *decoder) copyGroup(t *tableCopy, commit change.LSN) *change.Group {
	g := d.between(commit)
	if t.Sink != "" {
		g.Sinks = []string{t.Sink}
	}
	return g
}

// publishRows hands over the rows of which the stream has nothing newer.
func (d *decoder) publishRows(ctx context.Context, r *reading, t *change.Table, g *change.Group) (rows int64, err error) {
	view := r.rows.View
	err = r.rows.Each(func(c *change.Change) error {
		newer, err := r.window.newer(view, t, c.After)
		if newer || err != nil {
			return err
		}
		rows++
		c.Table, c.Ordinal, c.LSN = t, rows, view.At()
		if err := d.to.Publish(ctx, g, c); err != nil {
			return fatal(fmt.Errorf("cannot publish row %d of a chunk of %s: %w", rows, t.QualifiedName(), err))
		}
		return nil
	})
	return rows, err
}

// progress notes rows that were published, and ends the copy with the last of them.
func (k *copies) progress(ctx context.Context, t *tableCopy, rows, bytes int64, done bool) error {
	t.Rows += rows
	t.Bytes += bytes
	t.reckon(time.Now())
	k.owe(t, rows)
	k.capture.metrics.copiedRows.WithLabelValues(t.Table).Add(float64(rows))
	if done {
		return k.settle(ctx, t, CopyDone, "")
	}
	k.tell(t)
	k.capture.noteCopies(k.statuses())
	return t.store(ctx, k.capture.down)
}

// tellCopies is how often a copy that lasts is told of.
const tellCopies = 10 * time.Second

// tell logs how far a copy is.
func (k *copies) tell(t *tableCopy) {
	now := time.Now()
	if now.Sub(t.told) < tellCopies {
		return
	}
	if !t.told.IsZero() {
		left := time.Duration(0)
		if t.SecondsLeft != nil {
			left = time.Duration(*t.SecondsLeft) * time.Second
		}
		k.capture.log.Info("copying a table", "copy", t.ID, "table", t.Table, "rows", t.Rows, "of", t.EstimatedRows, "bytes", t.Bytes,
			"rows_per_second", int64(t.RowsPerSecond), "left", left)
	}
	t.told = now
}

// reckon works out the rate and the time left.
func (t *tableCopy) reckon(now time.Time) {
	if t.resumed.IsZero() {
		t.resumed, t.rowsAt = now, t.Rows
		return
	}
	seconds := now.Sub(t.resumed).Seconds()
	if seconds <= 0 {
		return
	}
	t.RowsPerSecond = float64(t.Rows-t.rowsAt) / seconds
	if t.RowsPerSecond > 0 {
		left := max(0, float64(t.EstimatedRows-t.Rows)) / t.RowsPerSecond
		t.SecondsLeft = &left
	}
}
