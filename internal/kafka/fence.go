package kafka

import (
	"context"
	"fmt"
	"slices"

	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
)

// fenceMillis bounds the one empty transaction of a fence.
const fenceMillis = 60_000

// acquireID gets our id, or an earlier owner's with the next epoch: from then on the coordinator
// refuses the earlier owner, and Fence makes the partitions do so.
func (p *Producer) acquireID(ctx context.Context) error {
	return p.c.retry(ctx, func(ctx context.Context) error {
		addr, err := p.c.coordinator(ctx, transactionCoordinator, p.cfg.TransactionalID)
		if err != nil {
			return err
		}
		msg, err := p.c.ask(ctx, addr, &initproducerid.Request{TransactionalID: p.cfg.TransactionalID,
			TransactionTimeoutMs: p.timeoutMillis(), ProducerID: -1, ProducerEpoch: -1})
		if err != nil {
			return err
		}
		res := msg.(*initproducerid.Response)
		p.id, p.epoch = res.ProducerID, res.ProducerEpoch
		if err := Code(res.ErrorCode).err(); Code(res.ErrorCode) != codeTransactionTimeout {
			return err
		}
		return fmt.Errorf("kafka.transactions needs transaction.max.timeout.ms of %d on the brokers, their default: %w", transactionMillis, Code(res.ErrorCode))
	})
}

func (p *Producer) timeoutMillis() int32 {
	if p.cfg.Transactions {
		return transactionMillis
	}
	return fenceMillis
}

// Fence makes the partitions of topics refuse every earlier owner and gives their handles by topic.
// It must precede the first Append to a partition and the Tail that is to be trusted.
//
// It ends one empty transaction over the partitions as aborted: the marker raises the epoch that each
// partition knows, and is waited for in each, since the end is answered before the markers are written. A transaction
// that is open is committed first, with what it has.
func (p *Producer) Fence(ctx context.Context, topics []string) (map[string][]*Partition, error) {
	if p.cfg.Transactions {
		if err := p.Wait(ctx); err != nil {
			return nil, err
		}
	}
	p.fencing.Lock()
	defer p.fencing.Unlock()
	fresh, err := p.unfenced(ctx, topics)
	if err == nil && len(fresh) > 0 {
		err = p.fence(ctx, fresh)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot fence the partitions against an earlier process: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string][]*Partition, len(topics))
	for _, t := range topics {
		out[t] = slices.Clone(p.byTopic[t])
	}
	return out, nil
}

// unfenced gives the partitions of topics that have no handle yet.
func (p *Producer) unfenced(ctx context.Context, topics []string) ([]TopicPartition, error) {
	var fresh []TopicPartition
	err := p.c.retry(ctx, func(ctx context.Context) error {
		k, err := p.c.metadata(ctx, topics)
		if err != nil {
			return err
		}
		fresh = fresh[:0]
		for _, t := range slices.Compact(slices.Sorted(slices.Values(topics))) {
			if code := k.topics[t].code; code != 0 || len(k.topics[t].leaders) == 0 {
				return fmt.Errorf("topic %s: %w", t, orUnknown(code))
			}
			fresh = append(fresh, partitionsOf(t, len(k.topics[t].leaders))[p.known(t):]...)
		}
		return nil
	})
	return fresh, err
}

func (p *Producer) known(topic string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.byTopic[topic])
}

func (p *Producer) fence(ctx context.Context, tps []TopicPartition) error {
	from, err := p.c.listOffsets(ctx, tps, EndOffset, readUncommitted)
	if err != nil {
		return err
	}
	settings, err := p.c.topicSettings(ctx, topicsOf(tps))
	if err != nil {
		return err
	}
	if err := p.c.retry(ctx, func(ctx context.Context) error { return p.addPartitions(ctx, tps) }); err != nil {
		return p.explainFence(err)
	}
	if err := p.c.retry(ctx, func(ctx context.Context) error { return p.endTransaction(ctx, false) }); err != nil {
		return p.explainFence(err)
	}
	if err := p.awaitMarkers(ctx, from); err != nil {
		return err
	}
	return p.enlist(ctx, tps, settings)
}

func (p *Producer) explainFence(err error) error {
	return fmt.Errorf("%w (transactional id %s: another process with the same source name may have started at the same time)", err, p.cfg.TransactionalID)
}

// addPartitions names partitions of a transaction, and begins it. The coordinator may still be busy with the
// transaction before (51): the caller tries again.
func (p *Producer) addPartitions(ctx context.Context, tps []TopicPartition) error {
	addr, err := p.c.coordinator(ctx, transactionCoordinator, p.cfg.TransactionalID)
	if err != nil {
		return err
	}
	req := &addpartitionstotxn.Request{TransactionalID: p.cfg.TransactionalID, ProducerID: p.id, ProducerEpoch: p.epoch}
	for _, tp := range tps {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Name != tp.Topic {
			req.Topics = append(req.Topics, addpartitionstotxn.RequestTopic{Name: tp.Topic})
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, tp.Partition)
	}
	msg, err := p.c.ask(ctx, addr, req)
	if err != nil {
		return err
	}
	return worst(msg.(*addpartitionstotxn.Response))
}

// worst gives an error that is not retriable where there is one, else any. "Not attempted" only says
// that another partition failed.
func worst(res *addpartitionstotxn.Response) error {
	var err error
	for _, t := range res.Results {
		for _, r := range t.Results {
			code := Code(r.ErrorCode)
			if code == 0 || err != nil && code.Retriable() {
				continue
			}
			err = fmt.Errorf("topic %s partition %d: %w", t.Name, r.PartitionIndex, code)
			if !code.Retriable() {
				return err
			}
		}
	}
	return err
}

// enlist makes the handles.
func (p *Producer) enlist(ctx context.Context, tps []TopicPartition, settings map[string]topicSettings) error {
	k, err := p.c.lookUp(ctx, topicsOf(tps))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, tp := range tps {
		to := &Partition{topic: tp.Topic, id: tp.Partition, limit: settings[tp.Topic].maxBytes, leader: -1}
		if to.limit <= 0 {
			to.limit = p.c.cfg.MaxMessageBytes
		}
		to.full = min(p.cfg.BatchBytes, to.limit)
		if to.leader, err = k.leader(tp); err != nil {
			to.leader, to.stale = -1, true
			p.askLeaders()
		} else {
			p.linkTo(to.leader)
		}
		p.byTopic[tp.Topic] = append(p.byTopic[tp.Topic], to)
		p.parts = append(p.parts, to)
	}
	p.sortParts()
	return p.err
}

// sortParts keeps partitions of a topic together, as a produce request needs them.
func (p *Producer) sortParts() {
	slices.SortFunc(p.parts, func(a, b *Partition) int {
		return compareTP(TopicPartition{a.topic, a.id}, TopicPartition{b.topic, b.id})
	})
	for i, to := range p.parts {
		to.order = i
	}
}
