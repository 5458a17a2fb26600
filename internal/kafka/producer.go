package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// ProducerConfig bounds a producer.
type ProducerConfig struct {
	TransactionalID string
	BufferBytes     int // all unacknowledged records together; default 16 MiB
	BatchBytes      int // a batch is sealed at this size; default 256 KiB
	// Transactions wraps what lies between two calls of Commit in one Kafka transaction, or several such pieces together.
	Transactions bool
}

// The defaults of ProducerConfig: 64 whole batches.
const (
	defaultBufferBytes = 16 << 20
	defaultBatchBytes  = 256 << 10
)

// Producer is fenced and idempotent. Its goroutines are one that sends and one that receives for each
// broker, one that asks for leaders, and one that commits
// transactions or keeps the transactional id alive. Everything below mu is shared by them and by callers.
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

	mu           sync.Mutex
	changed      sync.Cond // budget was given back, or the producer ended
	waiting      int       // goroutines in changed.Wait
	buffers      buffers
	used         int // bytes of the buffers that hold unacknowledged records
	parts        []*Partition
	byTopic      map[string][]*Partition
	links        map[int32]*link
	transactions transactions
	pauses       retry.Backoff // between refreshes, since the last acknowledgement
	warned       time.Time
	err          error
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
	p.transactions.init(cfg.Transactions)
	if err := p.acquireID(ctx); err != nil {
		return nil, fmt.Errorf("cannot get a producer id for %s: %w", cfg.TransactionalID, err)
	}
	p.ctx, p.end = context.WithCancel(context.WithoutCancel(ctx))
	p.running.Go(p.refreshLeaders)
	if cfg.Transactions {
		p.running.Go(p.runTransactions)
	} else {
		p.running.Go(p.keepID)
	}
	return p, nil
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

// OldestTag gives the tag of the oldest record not yet acknowledged, or with transactions committed; false when there
// is none. It looks at every partition once.
func (p *Producer) OldestTag() (tag uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.transactions.on {
		return p.transactions.oldestTag()
	}
	for _, to := range p.parts {
		if b := to.oldest(); b != nil && (!ok || b.tag < tag) {
			tag, ok = b.tag, true
		}
	}
	return tag, ok
}

// Wait flushes and returns when everything appended is acknowledged, and committed.
func (p *Producer) Wait(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for (p.used > 0 || len(p.transactions.first) > 0) && p.err == nil {
		p.commit()
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
