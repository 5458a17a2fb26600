package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// ProducerConfig bounds a producer.
type ProducerConfig struct {
	TransactionalID string
	BufferBytes     int // all unacknowledged records together; default 16 MiB
	BatchBytes      int // a batch is sealed at this size; default 256 KiB
}

// The defaults of ProducerConfig: 64 whole batches.
const (
	defaultBufferBytes = 16 << 20
	defaultBatchBytes  = 256 << 10
)

// Producer is fenced and idempotent. Its goroutines are one that sends and one that receives for each
// broker, one that asks for leaders, and one that keeps the transactional id alive. Everything below mu is shared by them and by callers.
type Producer struct {
	c     *Client
	log   *slog.Logger
	cfg   ProducerConfig
	id    int64
	epoch int16

	ctx     context.Context // of the goroutines
	end     context.CancelFunc
	running sync.WaitGroup
	stale   chan struct{} // wakes the refresher
	fencing sync.Mutex    // one transaction at a time

	mu       sync.Mutex
	changed  sync.Cond // budget was given back, or the producer ended
	waiting  int       // goroutines in changed.Wait
	buffers  buffers
	used     int // bytes of the buffers that hold unacknowledged records
	parts    []*Partition
	byTopic  map[string][]*Partition
	links    map[int32]*link
	attempts int // refreshes since the last acknowledgement
	warned   time.Time
	err      error
}

// NewProducer gets a producer id under the transactional id, which fences every earlier owner.
func (c *Client) NewProducer(ctx context.Context, cfg ProducerConfig) (*Producer, error) {
	if cfg.TransactionalID == "" {
		return nil, errors.New("cannot fence without a transactional id")
	}
	if cfg.BufferBytes == 0 {
		cfg.BufferBytes = defaultBufferBytes
	}
	if cfg.BatchBytes == 0 {
		cfg.BatchBytes = defaultBatchBytes
	}
	p := &Producer{c: c, log: c.log, cfg: cfg, stale: make(chan struct{}, 1),
		byTopic: map[string][]*Partition{}, links: map[int32]*link{}}
	p.changed.L = &p.mu
	p.buffers.init(cfg.BatchBytes)
	if err := p.acquireID(ctx); err != nil {
		return nil, fmt.Errorf("cannot get a producer id for %s: %w", cfg.TransactionalID, err)
	}
	p.ctx, p.end = context.WithCancel(context.WithoutCancel(ctx))
	p.running.Go(p.refreshLeaders)
	p.running.Go(p.keepID)
	return p, nil
}

// Append adds records, which stay together in one batch, to the partition's open batch. It blocks
// while BufferBytes are unacknowledged. tag is the caller's number, never falling across all
// partitions: see OldestTag. Keys, values and headers are copied. An error is final for the producer,
// except RecordTooLargeError, which leaves everything as it was, and the end of ctx.
func (p *Producer) Append(ctx context.Context, to *Partition, tag uint64, records ...Record) error {
	p.mu.Lock()
	for p.err == nil {
		added, err := p.add(to, tag, records)
		if added || err != nil {
			p.mu.Unlock()
			return err
		}
		if err := p.waitForAck(ctx); err != nil {
			p.mu.Unlock()
			return err
		}
	}
	defer p.mu.Unlock()
	return p.err
}

// add puts records into the open batch, sealing it first where they do not fit. It gives false while
// there is no memory for them. mu is held.
func (p *Producer) add(to *Partition, tag uint64, records []Record) (bool, error) {
	b := to.open
	if b != nil {
		need := len(b.buf) + b.measure(records)
		switch {
		case need > to.full:
		case need <= cap(b.buf):
			b.append(records)
			return true, nil
		default:
			return p.addGrown(to, need, records), nil
		}
		to.seal()
		p.wake(to.leader)
	}
	return p.addFirst(to, tag, records)
}

// addGrown moves the open batch to a larger buffer first.
func (p *Producer) addGrown(to *Partition, need int, records []Record) bool {
	size := p.buffers.sizeFor(need)
	more := size - cap(to.open.buf)
	if p.used+more > p.cfg.BufferBytes {
		return false
	}
	p.used += more
	to.open = p.buffers.grow(to.open, size)
	to.open.append(records)
	return true
}

// addFirst begins a batch.
func (p *Producer) addFirst(to *Partition, tag uint64, records []Record) (bool, error) {
	var empty batch
	need := batchHeader + empty.measure(records)
	if need > to.limit {
		return false, &RecordTooLargeError{Topic: to.topic, Size: need, Limit: to.limit}
	}
	size := p.buffers.sizeFor(max(need, min(to.hint, to.full)))
	if p.used > 0 && p.used+size > p.cfg.BufferBytes {
		return false, nil
	}
	p.used += size
	b := p.buffers.get(size)
	b.tag = tag
	b.append(records)
	to.open = b
	return true, nil
}

// waitForAck sends what there is and blocks until the state changed. mu is held.
func (p *Producer) waitForAck(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	p.flush()
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changed.Broadcast()
	})
	defer stop()
	p.waiting++
	p.changed.Wait()
	p.waiting--
	return context.Cause(ctx)
}

// Flush sends open batches as soon as the pipeline has room; it does not wait.
func (p *Producer) Flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
}

func (p *Producer) flush() {
	if p.used == 0 {
		return
	}
	for _, l := range p.links {
		l.flush = true
		l.wakeUp()
	}
}

// wake tells the sender of a broker that there is something to send.
func (p *Producer) wake(broker int32) {
	if l := p.links[broker]; l != nil {
		l.wakeUp()
	}
}

// OldestTag gives the tag of the oldest record not yet acknowledged; false when there is none. It
// looks at every partition once.
func (p *Producer) OldestTag() (tag uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, to := range p.parts {
		if b := to.oldest(); b != nil && (!ok || b.tag < tag) {
			tag, ok = b.tag, true
		}
	}
	return tag, ok
}

// Wait flushes and returns when everything appended is acknowledged.
func (p *Producer) Wait(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.used > 0 && p.err == nil {
		if err := p.waitForAck(ctx); err != nil {
			return err
		}
	}
	return p.err
}

// Err gives the error that ended the producer, nil while it works.
func (p *Producer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// fail ends the producer. mu is held.
func (p *Producer) fail(err error) {
	if p.err == nil {
		p.err = err
	}
	p.end()
	p.changed.Broadcast()
}

// Close drops what is not sent (Wait first to keep it) and ends the goroutines.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.fail(errProducerClosed)
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

var errProducerClosed = errors.New("the producer is closed")
