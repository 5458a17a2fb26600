package kafka

import (
	"context"
)

// Append adds records, which stay together in one batch, to the partition's open batch. It blocks
// while BufferBytes are unacknowledged. tag is the caller's number, never falling in a
// partition: see OldestTag. Keys, values and headers are copied. An error is final for the producer,
// except RecordTooLargeError, which leaves everything as it was, and the end of ctx.
func (p *Producer) Append(ctx context.Context, to *Partition, tag uint64, records ...Record) error {
	p.mu.Lock()
	for p.err == nil {
		added, err := p.add(to, tag, records)
		p.transactions.ended = p.transactions.ended && !added
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
	p.transactions.began(b, tag)
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
