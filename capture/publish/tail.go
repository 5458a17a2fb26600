package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// tails gives the last position in every partition of a topic, zero where it is empty. The last
// record may be a tombstone, which has no position; its delete stands right before it.
func (p *Publisher) tails(ctx context.Context, topic string) ([]change.Position, error) {
	last, err := p.client.Tail(ctx, topic, 2)
	if err != nil {
		return nil, fmt.Errorf("cannot read the end of topic %s: %w", topic, err)
	}
	tails := make([]change.Position, len(last))
	for partition, records := range last {
		if len(records) == 0 {
			continue
		}
		if tails[partition], err = p.lastPosition(ctx, topic, records); err != nil {
			return nil, fmt.Errorf("cannot tell where partition %d of topic %s ends, so what the slot sends again could not be told from what is new: %w", partition, topic, err)
		}
	}
	return tails, nil
}

func (p *Publisher) lastPosition(ctx context.Context, topic string, records []kafka.Record) (change.Position, error) {
	for i := len(records) - 1; i >= 0; i-- {
		if value := envelopeOf(&records[i]); value != nil {
			return p.position(ctx, topic, value)
		}
	}
	return change.Position{}, errors.New("its last records have no value")
}

// envelopeOf gives the envelope of a record, nil for a tombstone.
func envelopeOf(r *kafka.Record) []byte {
	if r.Value != nil {
		return r.Value
	}
	for _, h := range r.Headers {
		if h.Key == HeaderValue {
			return h.Value
		}
	}
	return nil
}

// position reads an envelope's position. In a registry that was emptied and filled anew the id may stand for
// the envelope of another topic, which has another namespace.
func (p *Publisher) position(ctx context.Context, topic string, value []byte) (change.Position, error) {
	id, body, err := avro.SplitFrame(value)
	if err != nil {
		return change.Position{}, err
	}
	schema, err := p.registry.Schema(ctx, id)
	if err != nil {
		return change.Position{}, err
	}
	decoder, err := avro.NewDecoder("", schema)
	if err != nil {
		return change.Position{}, err
	}
	if !strings.Contains(schema, `"`+schemas.Namespace(topic)+`"`) {
		return change.Position{}, fmt.Errorf("schema %d, which its last record names, is that of another topic: the registry was exchanged; restore it from its backup", id)
	}
	var record avro.Record
	var arena []byte
	err = decoder.Envelope(body, &record, &arena)
	return record.Position, err
}
