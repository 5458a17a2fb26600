package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/capture/snapshot"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
	"github.com/sluicecdc/sluice/internal/retry"
)

// copyWorker reads for the copies on a connection of its own, which it opens when there is work.
type copyWorker struct {
	capture *Capture
	copies  *copies
	reader  *snapshot.Reader
	conn    *pgconn.PgConn
}

// job is what a worker is to do next: plan a copy, read a chunk, or copy a table as a whole.
type job struct {
	plan  *tableCopy
	chunk *reading
	whole *tableCopy
	table snapshot.Table // of plan and whole
	hold  bool           // the stream waits for the snapshot of whole
}

// retryCopy is how long a copy rests after a fault that may pass.
const retryCopy = 2 * time.Second

// copyWork does jobs until ctx ends. Faults of a copy are told in its status, and never end the session.
func (c *Capture) copyWork(ctx context.Context) error {
	w := &copyWorker{capture: c, copies: c.decoder.copies}
	defer w.disconnect()
	look := time.NewTicker(retryCopy)
	defer look.Stop()
	for {
		j, err := w.take(ctx)
		if err != nil {
			return stopped(ctx, err)
		}
		if j == nil {
			select {
			case <-w.copies.wake:
			case <-look.C:
			case <-ctx.Done():
				return nil
			}
			continue
		}
		if err := w.do(ctx, j); err != nil {
			return stopped(ctx, err)
		}
	}
}

// stopped gives no error at a stop.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (w *copyWorker) take(ctx context.Context) (j *job, err error) {
	err = w.copies.call(ctx, func(ctx context.Context) (err error) {
		j, err = w.capture.decoder.job(ctx)
		return err
	})
	return j, err
}

// job gives work: of the first copy that has some. A worker that finds none sleeps.
func (d *decoder) job(ctx context.Context) (*job, error) {
	k := d.copies
	now := time.Now()
	if k.out >= d.cfg.mostChunks() || k.lagging || now.Before(k.owed) {
		return nil, nil
	}
	for _, t := range k.all {
		if t.State != CopyWaiting && t.State != CopyCopying || now.Before(t.retryAt) || now.Before(t.owed) {
			continue
		}
		if j, err := d.jobOf(ctx, t); j != nil || err != nil {
			return j, err
		}
	}
	return nil, nil
}

// mostChunks is how many chunks may be in memory: each worker reads one and has one ready.
func (c *Config) mostChunks() int {
	return min(2*c.Snapshot.Workers, max(1, c.CopyBytes/int(c.Snapshot.chunkBytes())))
}

func (d *decoder) jobOf(ctx context.Context, t *tableCopy) (*job, error) {
	if t.planning {
		return nil, nil
	}
	table, err := d.tableNow(ctx, t)
	if err != nil || table.Table == nil {
		return nil, err
	}
	switch {
	case len(table.Key) == 0 && !t.Whole:
		return nil, d.copies.settle(ctx, t, CopyFailed, "the table has lost its key while it was copied: what came meanwhile could not be told from what is copied; "+
			"give it a key and let it be copied again (sluice snapshot)")
	case t.Whole:
		t.planning = true
		return &job{whole: t, table: table, hold: t.missed >= holdAfter}, nil
	case t.ranges == nil:
		t.planning = true
		return &job{plan: t, table: table}, nil
	}
	i := t.next()
	if i < 0 {
		return nil, nil
	}
	if t.waits(d.place.at) {
		d.copies.stall()
		return nil, nil
	}
	t.busy[i] = true
	d.copies.out++
	w := d.copies.open(t, d.current())
	return &job{chunk: &reading{copy: t, chunk: i, rng: t.ranges[i], table: table, learned: d.learned(t.OID), window: w}}, nil
}

// learned gives what the stream knows of a table, nil when nothing.
func (d *decoder) learned(oid uint32) *change.Table {
	if s := d.shapes.byOID[oid]; s != nil {
		return s.table
	}
	return nil
}

// tableNow gives a table as it is to be read: as the stream has it, or as the catalogue had it when that
// was found to be another. Without a table in it, the copy cannot go on for now.
func (d *decoder) tableNow(ctx context.Context, t *tableCopy) (snapshot.Table, error) {
	if now := d.learned(t.OID); t.table.Table == nil || now == nil && t.learned != nil {
		if err := d.describeCopy(ctx, t); err != nil || !t.active() || t.table.Table == nil {
			return snapshot.Table{}, err
		}
	} else if now != t.learned {
		t.learned, t.table.Table = now, now
	}
	if names := keyNames(t.table.Table); !slices.Equal(t.Key, names) {
		t.Key, t.ranges, t.Prefix, t.Ahead = names, nil, 0, nil
	}
	return t.table, nil
}

func keyNames(t *change.Table) (names []string) {
	for _, i := range t.Key {
		names = append(names, t.Columns[i].Name)
	}
	return names
}

// describeCopy asks the catalogue how a table is now.
func (d *decoder) describeCopy(ctx context.Context, t *tableCopy) error {
	c := d.copies.capture
	r, err := c.relationOf(ctx, t.OID)
	if err != nil {
		return d.copies.fault(ctx, t, err)
	}
	if !captures(c.cfg.Tables, &change.Table{Schema: r.Schema, Name: r.Name}) {
		return d.copies.fault(ctx, t, fmt.Errorf("%w: it is %s now, which source.tables does not cover", snapshot.ErrGone, change.FormatName(r.Schema, r.Name)))
	}
	now, err := c.describeNow(ctx, r)
	if err != nil {
		return d.copies.fault(ctx, t, err)
	}
	now.Where = t.Where
	t.table, t.learned = now, d.learned(t.OID)
	if name := change.FormatName(r.Schema, r.Name); name != t.Table {
		t.Table = name
		d.copies.update()
	}
	return nil
}

// fault has a copy rest and says why. What a person asked for and cannot be done fails; rows that must
// come are tried for again.
func (k *copies) fault(ctx context.Context, t *tableCopy, err error) error {
	if ctx.Err() != nil || !t.active() {
		return nil
	}
	reason := err.Error()
	switch {
	case errors.Is(err, snapshot.ErrGone):
		return k.settle(ctx, t, CopyFailed, reason)
	case t.Kind == CopyAsked && strings.HasPrefix(sqlState(err), "42"):
		return k.settle(ctx, t, CopyFailed, reason)
	}
	t.retryAt = time.Now().Add(retryCopy)
	if t.Reason != reason {
		t.Reason = reason
		k.capture.log.Warn("cannot copy rows of a table now, trying again; the stream goes on", "copy", t.ID, "table", t.Table, "error", err)
	}
	k.capture.noteCopies(k.statuses())
	return nil
}

func (w *copyWorker) do(ctx context.Context, j *job) error {
	err := w.connect(ctx)
	switch {
	case err != nil:
		return w.giveUp(ctx, j, err)
	case j.plan != nil:
		return w.plan(ctx, j)
	case j.whole != nil:
		return w.wholeTable(ctx, j)
	}
	return w.read(ctx, j)
}

func (w *copyWorker) connect(ctx context.Context) error {
	if w.reader != nil {
		return nil
	}
	pc, err := pgconn.ParseConfig(w.capture.cfg.DSN)
	if err != nil {
		return fatal(err)
	}
	prepare(pc)
	conn, err := pgconn.ConnectConfig(ctx, pc)
	if err != nil {
		return fmt.Errorf("cannot connect to %s to copy rows: %w", w.capture.source.where, err)
	}
	if w.reader, err = snapshot.NewReader(ctx, conn); err != nil {
		_ = conn.Close(ctx)
		return err
	}
	w.conn, w.reader.Shift = conn, w.capture.progress.shift()
	return nil
}

func (w *copyWorker) disconnect() {
	if w.reader != nil {
		w.reader.Close()
	}
	w.reader, w.conn = nil, nil
}

// plan cuts a table into chunks.
func (w *copyWorker) plan(ctx context.Context, j *job) error {
	e := snapshot.Estimate{Ranges: []snapshot.Range{{}}}
	if !j.plan.few() {
		var err error
		if e, err = snapshot.Plan(ctx, w.conn, j.table, w.capture.cfg.Snapshot.chunkBytes()); err != nil {
			return w.giveUp(ctx, j, err)
		}
	}
	return w.copies.call(ctx, func(ctx context.Context) error {
		t := j.plan
		t.planning = false
		if !t.active() {
			return nil
		}
		w.copies.signal()
		t.ranges, t.Prefix, t.Ahead, t.Rows, t.Bytes = e.Ranges, 0, nil, 0, 0
		t.EstimatedRows, t.EstimatedBytes, t.Chunks, t.ChunksDone = e.Rows, e.Bytes, len(e.Ranges), 0
		w.copies.start(t)
		if err := t.storePlan(ctx, w.capture.down); err != nil {
			return err
		}
		return t.store(ctx, w.capture.down)
	})
}

// start says that rows of a copy are being read.
func (k *copies) start(t *tableCopy) {
	if t.Began == nil {
		now := time.Now()
		t.Began = &now
	}
	if t.State == CopyWaiting {
		t.State, t.Reason = CopyCopying, ""
		k.capture.log.Info("copying a table", "copy", t.ID, "table", t.Table, "rows", t.EstimatedRows, "chunks", t.Chunks)
	}
	k.capture.noteCopies(k.statuses())
}

// read reads a chunk and hands it over.
func (w *copyWorker) read(ctx context.Context, j *job) error {
	r := j.chunk
	limit := 2 * w.capture.cfg.Snapshot.chunkBytes()
	fits := func(v *snapshot.View) bool { return r.window.fits(v) && r.copy.fits(v) }
	chunk, err := w.reader.Read(ctx, r.table, r.rng, limit, fits)
	if errors.Is(err, snapshot.ErrTooLarge) {
		w.disconnect() // in the middle of a COPY
		if err = w.connect(ctx); err == nil {
			return w.split(ctx, j)
		}
	}
	if err != nil {
		return w.giveUp(ctx, j, err)
	}
	return w.deliver(ctx, r, chunk)
}

func (w *copyWorker) deliver(ctx context.Context, r *reading, chunk *snapshot.Chunk) error {
	crash.At("chunk read")
	d := w.capture.decoder
	return w.copies.call(ctx, func(ctx context.Context) error {
		if !r.copy.active() {
			w.copies.close(r)
			return nil
		}
		w.copies.start(r.copy)
		w.copies.prune(chunk.View)
		r.rows = chunk
		w.copies.ready = append(w.copies.ready, r)
		if chunk.View.At() > d.place.at && d.backlog() == 0 {
			w.capture.beatSoon() // the stream is idle: a commit of ours passes the place
		}
		return nil
	})
}

// split halves a range that has grown since it was planned. One row that is larger than a chunk is read
// alone.
func (w *copyWorker) split(ctx context.Context, j *job) error {
	r := j.chunk
	parts, err := snapshot.Split(ctx, w.conn, r.table, r.rng)
	if err != nil {
		return w.giveUp(ctx, j, err)
	}
	if len(parts) < 2 {
		chunk, err := w.reader.Read(ctx, r.table, r.rng, 0, func(v *snapshot.View) bool { return r.window.fits(v) && r.copy.fits(v) })
		if err != nil {
			return w.giveUp(ctx, j, err)
		}
		return w.deliver(ctx, r, chunk)
	}
	return w.copies.call(ctx, func(ctx context.Context) error {
		w.copies.close(r)
		if !r.copy.active() {
			return nil
		}
		r.copy.split(r.chunk, parts)
		return r.copy.storePlan(ctx, w.capture.down)
	})
}

// giveUp ends a job that failed. The connection is made anew.
func (w *copyWorker) giveUp(ctx context.Context, j *job, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	w.disconnect()
	return w.copies.call(ctx, func(ctx context.Context) error {
		t := j.plan
		switch {
		case j.chunk != nil:
			t = j.chunk.copy
			w.copies.close(j.chunk)
		case j.whole != nil:
			t = j.whole
		}
		t.planning = false
		if errors.Is(err, snapshot.ErrChanged) || errors.Is(err, snapshot.ErrGone) {
			t.table.Table = nil // it is described anew
			if j.chunk != nil && w.capture.decoder.learned(t.OID) != j.chunk.learned {
				return nil
			}
			return w.capture.decoder.describeCopy(ctx, t)
		}
		return w.copies.fault(ctx, t, err)
	})
}

// visibleEvery is how often it is asked which transactions can be seen.
const visibleEvery = time.Second

// watchVisible forgets the published transactions that other sessions see.
func (c *Capture) watchVisible(ctx context.Context) error {
	k := c.decoder.copies
	for {
		if err := retry.Wait(ctx, visibleEvery); err != nil {
			return nil
		}
		v, err := c.lookView(ctx)
		if err != nil {
			continue // the heartbeat tells that the source cannot be asked
		}
		if err := k.call(ctx, func(context.Context) error { k.prune(v); return nil }); err != nil {
			return stopped(ctx, err)
		}
	}
}

// lookView gives what a snapshot taken now sees.
func (c *Capture) lookView(ctx context.Context) (*snapshot.View, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := c.source.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	v, err := snapshot.LookView(ctx, conn.Conn().PgConn())
	if err == nil {
		v.Shift(c.progress.shift())
	}
	return v, err
}
