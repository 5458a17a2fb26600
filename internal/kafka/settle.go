package kafka

import (
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/internal/crash"
)

// wants tells whether a link has anything to send, so that an idle one does not connect.
func (p *Producer) wants(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, to := range p.parts {
		if to.unsent() && to.ready(l.broker, now) && p.admitted(to) {
			return true
		}
	}
	return false
}

// collect fills a request with one batch of each partition that has one and may send it. Open batches
// are taken when Flush asked for them, or when a sealed one goes anyway.
func (p *Producer) collect(l *link, r *request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !l.flush && !p.hasSealed(l, now) {
		return false
	}
	more := false
	for i := range p.parts {
		to := p.parts[(l.turn+i)%len(p.parts)]
		if to.leader != l.broker || !to.unsent() {
			continue
		}
		if !to.ready(l.broker, now) || !p.admitted(to) {
			more = true
			continue
		}
		if r.size >= requestBytes {
			l.turn, more = to.order, true
			break
		}
		r.add(to, to.take(l.broker))
		more = more || to.unsent()
	}
	l.flush = l.flush && more
	return len(r.items) > 0
}

func (p *Producer) hasSealed(l *link, now time.Time) bool {
	for _, to := range p.parts {
		if len(to.queue) > to.inflight && to.ready(l.broker, now) && p.admitted(to) {
			return true
		}
	}
	return false
}

// settle takes a request's answer.
func (p *Producer) settle(r *request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for i := range r.items {
		p.settleItem(&r.items[i], now)
	}
	p.afterAnswer()
}

// settleItem judges one batch's answer. After a failed one, those behind it go again too, whatever was
// answered: the broker knows duplicates, and their order stays.
func (p *Producer) settleItem(it *item, now time.Time) {
	to, code := it.to, it.code
	if !it.seen {
		code = -1
	}
	behind := to.failed
	switch {
	case code.Retriable():
		p.c.meter.retried()
		p.warn("broker did not take records, trying again", "topic", to.topic, "partition", to.id, "error", code)
		to.refuse()
	case code != 0 && code != codeDuplicateSequence && !(behind && code == codeOutOfOrderSequence):
		p.fail(p.fatal(it))
	case !behind:
		crash.At("acked")
		b := to.acknowledge(now)
		p.c.meter.produced(int(b.count), len(b.wire()))
		p.drop(b)
		p.pauses.Reset()
	}
	to.returned()
}

// drop gives a batch's memory back.
func (p *Producer) drop(b *batch) {
	p.used -= cap(b.buf)
	p.buffers.put(b)
}

// giveBack takes a request that was never answered.
func (p *Producer) giveBack(r *request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range r.items {
		p.c.meter.retried()
		r.items[i].to.refuse()
		r.items[i].to.returned()
	}
	r.reset()
	p.afterAnswer()
}

// afterAnswer wakes whoever waits for what changed. mu is held.
func (p *Producer) afterAnswer() {
	if p.waiting > 0 {
		p.changed.Broadcast()
	}
	for _, l := range p.links {
		l.wakeUp()
	}
	p.transactions.wake()
	for _, to := range p.parts {
		if to.stale {
			p.askLeaders()
			return
		}
	}
}

// linkBroke notes that a broker could not be reached, or the connection to it broke.
func (p *Producer) linkBroke(l *link, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warn("connection for producing broke, trying again", "broker", l.broker, "error", err)
	for _, to := range p.parts {
		if to.leader == l.broker && to.unsent() {
			to.stale = true
		}
	}
	p.askLeaders()
}

// warnEvery spaces the lines about a fault that goes on.
const warnEvery = 5 * time.Second

func (p *Producer) warn(text string, args ...any) {
	if time.Since(p.warned) > warnEvery {
		p.warned = time.Now()
		p.log.Warn(text, args...)
	}
}

// fatal says what happened, where, what it means and what to do.
func (p *Producer) fatal(it *item) error {
	err := error(it.code)
	if it.text != "" {
		err = fmt.Errorf("%w: %s", it.code, it.text)
	}
	return fmt.Errorf("cannot produce to topic %s partition %d: %w; %s; nothing unacknowledged is lost, the source sends it again",
		it.to.topic, it.to.id, err, p.advice(it))
}

func (p *Producer) advice(it *item) string {
	switch it.code {
	case codeFencedEpoch, codeFencedProducer:
		return "another process has taken over the transactional id " + p.cfg.TransactionalID + ": only one may run, stop this one"
	case codeOutOfOrderSequence:
		return "the partition does not hold what it acknowledged before (was it deleted, or did a replica out of sync become leader?): compare it with the source before starting again"
	case 10:
		return fmt.Sprintf("a batch of %d bytes is larger than the topic's max.message.bytes: raise it", len(it.b.wire()))
	case 29:
		return "grant WRITE on the topic to our user (kafka-acls.sh --add --producer)"
	case 2:
		return "the broker found the batch damaged: check memory and network"
	case 87, 32:
		return "the topic refuses such a record: check its cleanup.policy (a compacted one needs keys) and the clocks"
	}
	return "start again once the cause is removed"
}
