package capture

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

// decoder turns slabs into published groups. One goroutine uses it. It outlives the connection, since
// it knows what was handed over last: after a reconnection PostgreSQL sends again from the confirmed
// position, and the publisher must see nothing twice.
type decoder struct {
	cfg       Config
	to        Publisher
	shapes    *shapes
	progress  *progress
	shift     change.LSN // positions are LSNs of the log plus this
	metrics   *Metrics
	heartbeat string // our prefix
	ddl       string // the event trigger's
	statement func() // told of every schema change
	// rewrites are tables that the open transaction rewrote, with the reason, until they are described.
	rewrites map[uint32]int

	stopping atomic.Bool // set at a stop: nothing is published from then on

	group   change.Group
	open    bool  // between Begin and Commit
	started bool  // the open group's first change was handed over
	ordinal int64 // of the open group's last change
	// whole is the Commit of the last group handed over to its end, or passed over as empty; partial
	// is the last change handed over of a group that is not whole.
	whole   change.LSN
	partial change.Position

	last   sent   // the last transaction handed over to its end, by this run or an earlier one
	half   sent   // the one that partial is of
	due    []sent // transactions that must come again before anything else is believed, in order
	proven func() // told when none is due any more

	// described are tables whose next change shows since when they are so: Relation messages have no
	// position of their own.
	described []pgoutput.Relation

	copies  *copies    // rows from before, on their way into the stream
	place   boundary   // where we are between two transactions
	backlog func() int // pieces of the stream that wait
	passing passing

	ahead *ahead // computes generated columns
	rest  []byte // of the slab, from the frame at hand on

	change change.Change // scratch, as the messages below
	insert pgoutput.Insert
	update pgoutput.Update
	delete pgoutput.Delete
	trunc  pgoutput.Truncate
}

// Sizes inside a CopyData frame: type and length before it; kind, start, end and time of an XLogData;
// kind, end, time and the wish for an answer of a keepalive (manual: Streaming Replication Protocol).
const (
	frameHeader = 5
	walHeader   = 1 + 8 + 8 + 8
	keepaliveN  = 1 + 8 + 8 + 1
)

// run decodes until in is closed, which is a graceful stop, or something fails. Between two pieces of the
// stream it does what the copies call for.
func (d *decoder) run(ctx context.Context, in <-chan *slab, p *pool) error {
	d.backlog = func() int { return len(in) }
	var again <-chan time.Time // when something waits to go out
	for {
		select {
		case <-again:
		case s, more := <-in:
			if !more {
				return nil
			}
			err := d.slab(ctx, s.buf[:s.n])
			p.put(s)
			d.shapes.flushCounts()
			if err != nil {
				return err
			}
		case f := <-d.copies.calls:
			if err := f(ctx); err != nil {
				return err
			}
			if err := d.atBoundary(ctx); err != nil {
				return err
			}
		}
		again = nil
		if len(in) == 0 && d.to.Flush() {
			again = time.After(flushAgain)
		}
	}
}

// flushAgain is about a round trip to Kafka.
const flushAgain = 2 * time.Millisecond

// slab walks the frames, whose lengths the receiver has checked.
func (d *decoder) slab(ctx context.Context, b []byte) error {
	d.ahead.forget()
	for len(b) > 0 && !d.stopping.Load() {
		n := 1 + int(binary.BigEndian.Uint32(b[1:]))
		d.rest = b
		if b[0] == 'd' {
			if err := d.copyData(ctx, b[frameHeader:n]); err != nil {
				return err
			}
		}
		b = b[n:]
	}
	return nil
}

func (d *decoder) copyData(ctx context.Context, b []byte) error {
	switch {
	case len(b) > walHeader && b[0] == 'w':
		return d.message(ctx, d.position(binary.BigEndian.Uint64(b[1:])), b[walHeader:])
	case len(b) == keepaliveN && b[0] == 'k':
		return d.onKeepalive(ctx, b)
	}
	return fatal(fmt.Errorf("cannot read the replication stream: a CopyData of %d bytes is neither data nor a keepalive", len(b)))
}

// position makes one of an LSN of the log; 0 stays 0, "not known".
func (d *decoder) position(lsn uint64) change.LSN {
	if lsn == 0 {
		return 0
	}
	return change.LSN(lsn) + d.shift
}

// message decodes one pgoutput message that stands at lsn in the log.
func (d *decoder) message(ctx context.Context, lsn change.LSN, b []byte) error {
	d.change.LSN = lsn
	kind, body := pgoutput.Kind(b[0]), b[1:]
	if len(d.described) > 0 && lsn != 0 {
		if err := d.learn(ctx, lsn); err != nil {
			return err
		}
	}
	switch kind {
	case pgoutput.KindInsert:
		return d.onInsert(ctx, body)
	case pgoutput.KindUpdate:
		return d.onUpdate(ctx, body)
	case pgoutput.KindDelete:
		return d.onDelete(ctx, body)
	case pgoutput.KindBegin:
		return d.onBegin(ctx, body)
	case pgoutput.KindCommit:
		return d.onCommit(ctx, body)
	case pgoutput.KindRelation:
		return d.onRelation(body)
	case pgoutput.KindTruncate:
		return d.onTruncate(ctx, body)
	case pgoutput.KindMessage:
		return d.onMessage(ctx, body)
	case pgoutput.KindType, pgoutput.KindOrigin:
		return nil // types come from the catalogue; where a change was replicated from does not matter
	}
	return fatal(fmt.Errorf("cannot read the replication stream at %s: unknown message %s", lsn, kind))
}

func (d *decoder) onBegin(ctx context.Context, b []byte) error {
	var m pgoutput.Begin
	if err := m.Decode(b); err != nil {
		return fatal(err)
	}
	m.Commit += d.shift
	if err := d.recognise(sentAs(m.XID, m.Commit, m.Time)); err != nil {
		return err
	}
	if err := d.mayBegin(ctx, m.Commit); err != nil {
		return err
	}
	d.begin(change.Group{Kind: change.Transaction, XID: m.XID, Commit: m.Commit, Time: m.Time})
	return nil
}

func (d *decoder) begin(g change.Group) {
	d.group, d.open, d.ordinal = g, true, 0
	clear(d.rewrites)
	d.started = d.partial.Commit == g.Commit
}

func (d *decoder) onCommit(ctx context.Context, b []byte) error {
	var m pgoutput.Commit
	if err := m.Decode(b); err != nil {
		return fatal(err)
	}
	m.Commit, m.End = m.Commit+d.shift, m.End+d.shift
	if !d.open || m.Commit != d.group.Commit {
		return fatal(fmt.Errorf("cannot read the replication stream: commit %s ends no open transaction", m.Commit))
	}
	return d.end(ctx, m.End)
}

// end closes the open group. One that held nothing of ours is not published.
func (d *decoder) end(ctx context.Context, end change.LSN) error {
	d.open = false
	d.place.pass(end)
	if d.group.Commit <= d.whole || !d.started && !d.group.Heartbeat {
		return d.atBoundary(ctx)
	}
	d.group.End, d.group.Copying, d.group.Repair = end, d.copies.copying, d.copies.repair
	if err := d.to.Publish(ctx, &d.group, nil); err != nil {
		return fatal(fmt.Errorf("cannot publish the end of transaction %d at %s: %w", d.group.XID, d.group.Commit, err))
	}
	d.whole, d.partial, d.half = d.group.Commit, change.Position{}, sent{}
	if d.group.XID != 0 && d.group.Commit > d.last.commit {
		d.last = d.sent()
	}
	d.place.last, d.place.time = max(d.place.last, d.group.Commit), d.group.Time
	d.copies.publishedNow(d.current())
	d.progress.publish(end, d.group.Time)
	d.metrics.groups.Inc()
	return d.atBoundary(ctx)
}

// current gives the transaction at hand, or that was the last one.
func (d *decoder) current() passed { return passed{d.group.XID, d.group.Commit} }

func (d *decoder) sent() sent { return sentAs(d.group.XID, d.group.Commit, d.group.Time) }

// emit hands the change over as the next of the group, unless it was handed over before.
func (d *decoder) emit(ctx context.Context, c *change.Change) error {
	d.ordinal++
	if c.Table != nil && d.shapes.drops(c.Table.OID) {
		return nil
	}
	if d.group.Commit <= d.whole {
		return nil
	}
	if c.Table != nil && d.copies.watches(c.Table.OID) {
		if err := d.copies.note(d.current(), c); err != nil {
			return err
		}
	}
	if c.Table != nil && d.copies.covers(c.Table.OID, d.group.Commit) {
		return nil
	}
	if d.started && d.group.Commit == d.partial.Commit && d.ordinal <= d.partial.Ordinal {
		return nil
	}
	c.Ordinal = d.ordinal
	d.started = true
	if err := d.to.Publish(ctx, &d.group, c); err != nil {
		return fatal(fmt.Errorf("cannot publish change %s of %s: %w", change.Position{Commit: d.group.Commit, Ordinal: c.Ordinal}, describe(c), err))
	}
	d.partial, d.half = change.Position{Commit: d.group.Commit, Ordinal: d.ordinal}, d.sent()
	return nil
}

func (d *decoder) onRelation(b []byte) error {
	var m pgoutput.Relation
	if err := m.Decode(b, false); err != nil {
		return fatal(err)
	}
	d.described = append(d.described, m)
	return nil
}

// learn takes the tables that were described before the message at lsn.
func (d *decoder) learn(ctx context.Context, lsn change.LSN) error {
	for i := range d.described {
		if err := d.shapes.learn(ctx, d.group.XID, lsn, &d.described[i]); err != nil {
			return err
		}
	}
	d.described = d.described[:0]
	return nil
}

func (d *decoder) onTruncate(ctx context.Context, b []byte) error {
	if err := d.trunc.Decode(b, false); err != nil {
		return fatal(err)
	}
	for _, oid := range d.trunc.Relations {
		s, err := d.shapes.of(oid)
		if err != nil {
			return err
		}
		s.emptied = true
		if d.cfg.Truncate == TruncateSkip {
			d.ordinal++
			continue
		}
		d.change = change.Change{Op: change.Truncate, Table: s.table, LSN: d.change.LSN}
		if err := d.emit(ctx, &d.change); err != nil {
			return err
		}
		s.truncates++
	}
	return nil
}

// onMessage publishes messages of the configured prefixes and recognises our heartbeat. One that is
// not transactional stands alone in the log, and is a group of its own. Every message but ours takes
// an ordinal, so that another configuration gives the same positions.
func (d *decoder) onMessage(ctx context.Context, b []byte) error {
	var m pgoutput.Message
	if err := m.Decode(b, false); err != nil {
		return fatal(err)
	}
	m.LSN += d.shift
	if string(m.Prefix) == d.heartbeat {
		d.group.Heartbeat = d.group.Heartbeat || m.Transactional
		return nil
	}
	if string(m.Prefix) == d.ddl {
		return d.onStatement(ctx, d.change.LSN, m.Content)
	}
	if !m.Transactional {
		if d.open || !d.wanted(m.Prefix) {
			return nil
		}
		// It has no commit record: it stands where its own record starts, and the next byte is enough
		// to have passed it.
		d.begin(change.Group{Kind: change.Transaction, Commit: m.LSN, Time: change.Micros(time.Now().UnixMicro())})
		defer func() { d.open = false }()
	}
	if !d.wanted(m.Prefix) {
		d.ordinal++
		return nil
	}
	d.change = change.Change{Op: change.Message, LSN: m.LSN, Prefix: string(m.Prefix), Content: m.Content}
	if err := d.emit(ctx, &d.change); err != nil || m.Transactional {
		return err
	}
	return d.end(ctx, m.LSN+1)
}

func (d *decoder) wanted(prefix []byte) bool {
	for _, p := range d.cfg.Messages {
		if string(prefix) == p {
			return true
		}
	}
	return false
}
