package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Feed is one partition's stream of committed data records. One goroutine uses it.
type Feed struct {
	r  *Reader
	tp TopicPartition

	// The consumer's own.
	cur cursor
	now *piece // what cur reads, nil at first

	end   atomic.Int64  // high watermark
	ready chan struct{} // something was put, or the feed failed

	mu      sync.Mutex
	queue   []*piece
	queued  int   // bytes
	fetch   int64 // offset to ask for next
	leader  int32 // whose loop fetches; -1 for none
	waiting bool  // the loop left this partition out because it was full
	spare   *piece
	err     error
}

// piece is one fetch's data of one partition: whole batches.
type piece struct {
	data   []byte
	aborts []aborted
}

func newFeed(r *Reader, tp TopicPartition, offset int64) *Feed {
	f := &Feed{r: r, tp: tp, ready: make(chan struct{}, 1), fetch: offset, leader: -1}
	f.cur = cursor{tp: tp, next: offset, limit: r.c.unpackLimit()}
	f.end.Store(-1)
	return f
}

// Next blocks until the partition's next record, which is valid until the call after it.
func (f *Feed) Next(ctx context.Context) (*Record, error) {
	for {
		r, err := f.Poll()
		if r != nil || err != nil {
			return r, err
		}
		select {
		case <-f.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Poll is Next without waiting: nil when nothing is at hand.
func (f *Feed) Poll() (*Record, error) {
	for {
		r, err := f.cur.read()
		if r != nil {
			return r, nil
		}
		if err != nil {
			f.spoil(err)
			return nil, err
		}
		if more, err := f.advance(); !more {
			return nil, err
		}
	}
}

// Offset is that of the record that the next call gives, or of the end. Records that nobody is given
// (control records, aborted ones) are passed by the Next or Poll that looks beyond them.
func (f *Feed) Offset() int64 { return f.cur.next }

// HighWatermark is the end of the partition as last told by the broker; -1 before the first answer.
func (f *Feed) HighWatermark() int64 { return f.end.Load() }

// advance goes on to the next piece and gives the last one back; false when there is none.
func (f *Feed) advance() (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now != nil {
		f.queued -= cap(f.now.data)
		f.spare, f.now = f.now, nil
	}
	f.wakeLoop()
	if len(f.queue) == 0 {
		return false, f.err
	}
	f.now = f.queue[0]
	n := copy(f.queue, f.queue[1:])
	f.queue[n] = nil
	f.queue = f.queue[:n]
	f.cur.load(f.now.data, f.now.aborts)
	return true, nil
}

// wakeLoop tells the fetch loop that there is room again. mu is held.
func (f *Feed) wakeLoop() {
	if f.waiting && !f.full() {
		f.waiting = false
		f.r.mu.Lock()
		l := f.r.loops[f.leader]
		f.r.mu.Unlock()
		if l != nil {
			l.wakeUp()
		}
	}
}

// full tells whether the partition's half that is asked for ahead is there.
func (f *Feed) full() bool { return f.queued >= f.r.share/2 }

// wants tells the loop of broker where to go on, and whether the partition is left out because it is full.
func (f *Feed) wants(broker int32) (offset int64, want, full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leader != broker || f.err != nil {
		return f.fetch, false, false
	}
	f.waiting = f.full()
	return f.fetch, !f.waiting, f.waiting
}

// put takes what was fetched: a copy of its whole batches.
func (f *Feed) put(p *fetched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end.Store(p.highWatermark)
	whole, next, err := wholeBatches(p.data, f.fetch)
	switch {
	case err == nil && len(whole) > 0:
		f.r.c.meter.fetched(len(whole))
		f.keep(whole, p.aborts)
		f.fetch = next
	case err == nil && len(p.data) > 0:
		err = fmt.Errorf("first batch is cut after %d bytes", len(p.data))
	}
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("corrupt data in topic %s partition %d at offset %d: %w", f.tp.Topic, f.tp.Partition, next, err)
	}
	if len(whole) > 0 || err != nil {
		f.signal()
	}
}

func (f *Feed) keep(whole []byte, aborts []aborted) {
	p := f.spare
	if f.spare = nil; p == nil || cap(p.data) < len(whole) || cap(p.data) > 4*len(whole)+minFetchBytes {
		p = &piece{data: make([]byte, 0, len(whole))}
	}
	p.data = append(p.data[:0], whole...)
	p.aborts = append(p.aborts[:0], aborts...)
	f.queue = append(f.queue, p)
	f.queued += cap(p.data)
}

func (f *Feed) signal() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// fail ends the feed after what is queued.
func (f *Feed) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	f.signal()
}

// spoil fails the feed at once: nothing after corrupt data is given.
func (f *Feed) spoil(err error) {
	f.fail(err)
	f.cur.load(nil, nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue, f.err = nil, err
}

func (f *Feed) assign(leader int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leader = leader
}

func (f *Feed) unassign() { f.assign(-1) }

var errReaderClosed = errors.New("the reader is closed")
