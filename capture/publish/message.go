package publish

import (
	"context"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// messageRoute is the way of logical messages; its topic is made at the first one.
type messageRoute struct {
	stream  *stream
	encoder *avro.MessageEncoder
}

func (p *Publisher) publishMessage(ctx context.Context, g *change.Group, c *change.Change) error {
	if p.messages == nil {
		if err := p.openMessages(ctx); err != nil {
			return fmt.Errorf("cannot publish logical messages: %w", err)
		}
	}
	r := p.messages
	p.key = r.encoder.Key(p.key[:0], c.Prefix)
	partition := kafka.PartitionFor(p.key, len(r.stream.partitions))
	order := p.order(r.stream)
	r.stream.counts[partition]++
	if r.stream.seen(partition, change.Position{Commit: g.Commit, Ordinal: c.Ordinal}) {
		p.metrics.Resent.Inc()
		return nil
	}
	p.value = r.encoder.Envelope(p.value[:0], g, c, order, p.group.now)
	record := kafka.Record{TimeMillis: int64(p.group.now) / 1000, Key: p.key, Value: p.value}
	if err := p.producer.Append(ctx, r.stream.partitions[partition], p.progress.tag(), record); err != nil {
		return fmt.Errorf("cannot publish a logical message with prefix %q: %w", c.Prefix, err)
	}
	p.metrics.Messages.Inc()
	return nil
}

func (p *Publisher) openMessages(ctx context.Context) error {
	topic := schemas.MessageTopic(p.o.Source)
	s, err := p.tableStream(ctx, topic, "message")
	if err != nil {
		return err
	}
	keyID, valueID, err := p.register(ctx, topic, schemas.ForMessages(p.o.Source))
	if err != nil {
		return err
	}
	p.messages = &messageRoute{stream: s, encoder: avro.NewMessageEncoder(avro.Options{
		Source: p.o.Source, Database: p.o.Database, Version: p.o.Version,
		Topic: topic, KeyID: keyID, ValueID: valueID,
	})}
	return nil
}
