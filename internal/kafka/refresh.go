package kafka

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// askLeaders wakes the refresher.
func (p *Producer) askLeaders() {
	select {
	case p.stale <- struct{}{}:
	default:
	}
}

// refreshLeaders asks who leads the partitions whenever a broker did not take a batch: at once after
// the first failure, then with growing pauses. All retries of the producer are paced here.
func (p *Producer) refreshLeaders() {
	gone := map[string]time.Time{}
	var last time.Time
	for {
		select {
		case <-p.stale:
		case <-p.ctx.Done():
			return
		}
		if p.pace(time.Since(last)) != nil {
			return
		}
		last = time.Now()
		k, err := p.c.metadata(p.ctx, p.topics())
		if err != nil {
			p.askLeaders()
			continue
		}
		p.adopt(k, gone)
	}
}

func (p *Producer) topics() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.byTopic))
}

// pace waits before a refresh that follows another closely, or without an acknowledgement between them.
func (p *Producer) pace(since time.Duration) error {
	p.mu.Lock()
	first := p.pauses.Tries() == 0
	pause := p.pauses.Next()
	p.mu.Unlock()
	if first && since > time.Second {
		return nil
	}
	return retry.Wait(p.ctx, pause)
}

// goneAfter is how long a topic may be unknown before it counts as deleted: brokers that start forget
// topics for a moment.
const goneAfter = time.Minute

// adopt takes the leaders. Partitions that have none stay as they are, and are asked for again.
func (p *Producer) adopt(k *cluster, gone map[string]time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := false
	for _, to := range p.parts {
		leader, err := k.leader(TopicPartition{to.topic, to.id})
		if err != nil {
			again = again || to.stale
			continue
		}
		to.leader, to.stale = leader, false
		p.linkTo(leader)
	}
	for topic := range p.byTopic {
		p.watchGone(topic, k.topics[topic].code, gone)
	}
	p.flush()
	if again {
		p.askLeaders()
	}
}

func (p *Producer) watchGone(topic string, code Code, gone map[string]time.Time) {
	if code != codeUnknownTopicPartition {
		delete(gone, topic)
		return
	}
	since, known := gone[topic]
	if !known {
		gone[topic] = time.Now()
	} else if time.Since(since) > goneAfter {
		p.fail(fmt.Errorf("cannot produce to topic %s: brokers do not know it for %v: it was deleted, with all it held; "+
			"restore it, or take a new snapshot into a new one", topic, goneAfter))
	}
}

// linkTo makes sure that a broker has its sender. mu is held.
func (p *Producer) linkTo(broker int32) *link {
	l := p.links[broker]
	if l == nil && p.err == nil {
		pack, err := newPacker(p.c.cfg.Compression)
		if err != nil {
			p.fail(fmt.Errorf("cannot pack batches: %w", err))
			return nil
		}
		l = &link{p: p, broker: broker, woken: make(chan struct{}, 1), pack: pack}
		p.links[broker] = l
		p.running.Go(l.run)
	}
	return l
}
