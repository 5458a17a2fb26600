package kafka

import (
	"context"
	"errors"
	"time"
)

// renewEvery is how often the transactional id is used. A coordinator forgets one that is idle for
// transactional.id.expiration.ms (7 days by default): the next owner would get another producer id, and
// nothing would refuse this one.
const renewEvery = 24 * time.Hour

// keepID uses the transactional id once a day, by an empty transaction on one partition. It also tells
// an idle producer that it was replaced.
func (p *Producer) keepID() {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return
		}
		if err := p.renew(p.ctx); err != nil && p.ctx.Err() == nil {
			p.log.Warn("cannot renew the transactional id, trying again tomorrow", "transactional_id", p.cfg.TransactionalID, "error", err)
		}
	}
}

// renew ends an empty transaction. Its marker carries our epoch, so it changes nothing for records
// under way.
func (p *Producer) renew(ctx context.Context) error {
	p.fencing.Lock()
	defer p.fencing.Unlock()
	p.mu.Lock()
	var tps []TopicPartition
	if len(p.parts) > 0 {
		tps = []TopicPartition{{p.parts[0].topic, p.parts[0].id}}
	}
	p.mu.Unlock()
	if tps == nil {
		return nil
	}
	err := p.c.retry(ctx, func(ctx context.Context) error { return p.addPartitions(ctx, tps) })
	if err == nil {
		err = p.c.retry(ctx, func(ctx context.Context) error { return p.endTransaction(ctx, false) })
	}
	var code Code
	if errors.As(err, &code) && (code == codeFencedEpoch || code == codeFencedProducer) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.fail(p.explainFence(err))
	}
	return err
}
