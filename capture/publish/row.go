package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// The headers of the two halves of a key change: the other half's key, Avro bytes.
const (
	HeaderNewKey = "sluice.newkey"
	HeaderOldKey = "sluice.oldkey"
)

// sendRow appends one row's record, and the tombstone of a delete in the same batch: a batch is
// written whole or not at all, so a tail never shows the one without the other.
func (p *Publisher) sendRow(ctx context.Context, r *route, g *change.Group, c *change.Change) (err error) {
	if r.reshape != nil {
		if c, err = r.reshape.apply(g, c); c == nil || err != nil {
			return err
		}
	}
	partition, err := p.encodeKey(r, c)
	if err != nil {
		return err
	}
	order := p.order(r.stream)
	r.stream.counts[partition]++
	if r.stream.seen(partition, change.Position{Commit: g.Commit, Ordinal: c.Ordinal}) {
		if g.Kind == change.Snapshot {
			return fmt.Errorf("cannot publish rows of %s at %s: topic %s holds later positions; start capture again, which puts them behind these", r.table.QualifiedName(), g.Commit, r.stream.topic)
		}
		p.metrics.Resent.Inc()
		return nil
	}
	if p.value, err = r.encoder.Envelope(p.value[:0], g, c, order, p.group.now); err != nil {
		return err
	}
	if err := p.appendRow(ctx, r, c, r.stream.partitions[partition]); err != nil {
		return p.explain(r, err)
	}
	crash.At("encoded")
	r.metrics.count(c.Op)
	return nil
}

// encodeKey leaves the framed key in p.key, nil for a table without one, and gives its partition.
func (p *Publisher) encodeKey(r *route, c *change.Change) (int32, error) {
	if len(r.shape.Key) == 0 {
		p.key = nil
		return 0, nil
	}
	row := c.After
	if c.Op == change.Delete {
		row = c.Before
	}
	var err error
	if p.key, err = r.encoder.Key(p.key[:0], row); err != nil {
		return 0, err
	}
	return kafka.PartitionFor(p.key, len(r.stream.partitions)), nil
}

func (p *Publisher) appendRow(ctx context.Context, r *route, c *change.Change, to *kafka.Partition) error {
	record := kafka.Record{TimeMillis: int64(p.group.now) / 1000, Key: p.key, Value: p.value}
	if c.OtherKey != nil {
		headers, err := p.otherKeyHeader(r, c)
		if err != nil {
			return err
		}
		record.Headers = headers
	}
	if c.Op != change.Delete || !p.o.Tombstones || p.key == nil {
		return p.producer.Append(ctx, to, p.progress.tag(), record)
	}
	tombstone := kafka.Record{TimeMillis: record.TimeMillis, Key: p.key, Headers: record.Headers}
	return p.producer.Append(ctx, to, p.progress.tag(), record, tombstone)
}

func (p *Publisher) otherKeyHeader(r *route, c *change.Change) ([]kafka.Header, error) {
	var err error
	if p.otherKey, err = r.encoder.Key(p.otherKey[:0], c.OtherKey); err != nil {
		return nil, err
	}
	name := HeaderOldKey
	if c.Op == change.Delete {
		name = HeaderNewKey
	}
	return []kafka.Header{{Key: name, Value: p.otherKey}}, nil
}

// explain adds to a refused record what its owner needs to find the row.
func (p *Publisher) explain(r *route, err error) error {
	var large *kafka.RecordTooLargeError
	if !errors.As(err, &large) {
		return fmt.Errorf("cannot publish a row of %s: %w", r.table.QualifiedName(), err)
	}
	return fmt.Errorf("row %s of table %s makes a record of %d bytes, topic %s takes %d: capture stops before it and confirms nothing past it; raise kafka.max_message_bytes and the topic's max.message.bytes, or make the row smaller, then start again: %w",
		p.describeKey(r), r.table.QualifiedName(), large.Size, large.Topic, large.Limit, err)
}

// describeKey gives the key at hand as text, for errors only.
func (p *Publisher) describeKey(r *route) string {
	if p.key == nil {
		return "(no key)"
	}
	_, body, err := avro.SplitFrame(p.key)
	if err != nil {
		return "(unreadable key)"
	}
	decoder, err := avro.NewDecoder(r.pair.Key, r.pair.Value)
	if err != nil {
		return "(unreadable key)"
	}
	var arena []byte
	row, err := decoder.Key(body, nil, &arena)
	if err != nil {
		return "(unreadable key)"
	}
	text := ""
	for _, i := range decoder.Table().Key {
		text += fmt.Sprintf(" %s=%s", decoder.Table().Columns[i].Name, row[i].Data)
	}
	return "(" + text[1:] + ")"
}
