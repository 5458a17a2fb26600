package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go/protocol/endtxn"
)

// transactions wraps what a producer writes in Kafka transactions, for readers in read_committed. Records are appended to
// the newest transaction; requests carry those of the oldest, and the next one begins when that is committed. While one is
// being committed the next grows, so that there are as few as the broker can keep up with. The producer's lock
// guards it.
type transactions struct {
	on             bool
	oldest, newest uint64
	first          map[uint64]uint64 // by transaction that holds something: the tag of its first record
	ended          bool              // nothing was appended since the newest could be committed
	woken          chan struct{}     // wakes the committer
}

// transactionMillis bounds a transaction, and with it a transaction of the source: as much as brokers allow where
// nobody changed transaction.max.timeout.ms.
const transactionMillis = 900_000

func (t *transactions) init(on bool) {
	*t = transactions{on: on, oldest: 1, newest: 1, first: map[uint64]uint64{}, woken: make(chan struct{}, 1)}
}

func (t *transactions) wake() {
	if !t.on {
		return
	}
	select {
	case t.woken <- struct{}{}:
	default:
	}
}

// began notes a batch of the newest transaction whose first record has the tag.
func (t *transactions) began(b *batch, tag uint64) {
	b.transaction = t.newest
	if first, ok := t.first[t.newest]; t.on && (!ok || tag < first) {
		t.first[t.newest] = tag
	}
	t.wake()
}

// oldestTag gives the tag of the oldest record that is not committed.
func (t *transactions) oldestTag() (tag uint64, ok bool) {
	for _, first := range t.first {
		if !ok || first < tag {
			tag, ok = first, true
		}
	}
	return tag, ok
}

// Commit says that what was appended so far may become visible to readers in read_committed, together. Without
// transactions it does nothing. It does not wait.
func (p *Producer) Commit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commit()
}

// commit ends the newest transaction, or has it ended when the one before is committed and nothing was added
// until then. mu is held.
func (p *Producer) commit() {
	t := &p.transactions
	if _, any := t.first[t.newest]; !t.on || !any {
		return
	}
	if t.newest > t.oldest {
		t.ended = true
		return
	}
	for _, to := range p.parts {
		if to.open != nil {
			to.seal()
			p.wake(to.leader)
		}
	}
	t.newest, t.ended = t.newest+1, false
	t.wake()
}

// admitted tells whether the next batch of a partition belongs to the open transaction, and the coordinator knows so.
func (p *Producer) admitted(to *Partition) bool {
	t := &p.transactions
	return !t.on || to.next().transaction == t.oldest && to.member == t.oldest
}

// runTransactions adds partitions to the open transaction and commits it, until the producer ends.
func (p *Producer) runTransactions() {
	for {
		select {
		case <-p.transactions.woken:
		case <-p.ctx.Done():
			return
		}
		for {
			done, err := p.advance()
			if err != nil {
				p.mu.Lock()
				p.fail(p.explainTransaction(err))
				p.mu.Unlock()
				return
			}
			if done {
				break
			}
		}
	}
}

// advance does the next step of the open transaction; done when there is none.
func (p *Producer) advance() (done bool, err error) {
	p.mu.Lock()
	joining, complete := p.joining(), p.complete()
	p.mu.Unlock()
	switch {
	case len(joining) > 0:
		tps := make([]TopicPartition, len(joining))
		for i, to := range joining {
			tps[i] = TopicPartition{to.topic, to.id}
		}
		if err := p.insist(func(ctx context.Context) error { return p.addPartitions(ctx, tps) }); err != nil {
			return false, err
		}
		p.admit(joining)
	case complete:
		// The first answer comes before the markers are written; asked again, the coordinator refuses until they are.
		for range 2 {
			if err := p.insist(func(ctx context.Context) error { return p.endTransaction(ctx, true) }); err != nil {
				return false, err
			}
		}
		p.committed()
	default:
		return true, nil
	}
	return false, nil
}

// joining gives the partitions that have something for the open transaction and are not part of it. mu is held.
func (p *Producer) joining() (out []*Partition) {
	for _, to := range p.parts {
		if to.member != p.transactions.oldest && to.unsent() && to.next().transaction == p.transactions.oldest {
			out = append(out, to)
		}
	}
	return out
}

// complete tells whether the open transaction has ended and each of its batches is acknowledged. mu is held.
func (p *Producer) complete() bool {
	t := &p.transactions
	if t.newest == t.oldest {
		return false
	}
	for _, to := range p.parts {
		if b := to.oldest(); b != nil && b.transaction == t.oldest {
			return false
		}
	}
	return true
}

// wrapping gives what requests and batches say of transactions. An empty id is none.
func (p *Producer) wrapping() (id string, attributes uint16) {
	if !p.transactions.on {
		return "", 0
	}
	return p.cfg.TransactionalID, attrTransactional
}

func (p *Producer) admit(joined []*Partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, to := range joined {
		to.member = p.transactions.oldest
		p.wake(to.leader)
	}
}

// committed begins with the next transaction.
func (p *Producer) committed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.transactions
	delete(t.first, t.oldest)
	t.oldest++
	if t.ended {
		p.commit()
	}
	p.changed.Broadcast()
	t.wake()
}

// insist tries again as long as an answer or a fault lets it.
func (p *Producer) insist(f func(ctx context.Context) error) error {
	for {
		err := p.c.retry(p.ctx, f)
		if err == nil || !Retriable(err) || p.ctx.Err() != nil {
			return err
		}
		p.mu.Lock()
		p.warn("the coordinator of transactions does not answer as it should, trying again", "transactional_id", p.cfg.TransactionalID, "error", err)
		p.mu.Unlock()
	}
}

// endTransaction commits or aborts. A coordinator that has done so already says the same again.
func (p *Producer) endTransaction(ctx context.Context, commit bool) error {
	addr, err := p.c.coordinator(ctx, transactionCoordinator, p.cfg.TransactionalID)
	if err != nil {
		return err
	}
	msg, err := p.c.ask(ctx, addr, &endtxn.Request{TransactionalID: p.cfg.TransactionalID, ProducerID: p.id, ProducerEpoch: p.epoch, Committed: commit})
	if err != nil {
		return err
	}
	return Code(msg.(*endtxn.Response).ErrorCode).err()
}

func (p *Producer) explainTransaction(err error) error {
	var code Code
	if errors.As(err, &code) && (code == codeFencedEpoch || code == codeFencedProducer) {
		return fmt.Errorf("%w (transactional id %s): another process has taken over, or a transaction took longer than %d s, which kafka.transactions cannot have; "+
			"nothing of it is visible to readers in read_committed, the source sends it again", err, p.cfg.TransactionalID, transactionMillis/1000)
	}
	return fmt.Errorf("cannot commit to Kafka under transactional id %s: %w; nothing that was not committed is confirmed to the source", p.cfg.TransactionalID, err)
}
