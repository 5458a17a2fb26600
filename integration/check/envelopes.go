package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Envelopes gives every Avro value of a topic to f, up to the ends that stand at the call: the text of
// its schema and its bytes without the framing. Records without a value are passed over.
func Envelopes(ctx context.Context, p Place, topic string, f func(schema string, body []byte) error) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Brokers...), kgo.KeepControlRecords())
	if err != nil {
		return fmt.Errorf("cannot make a Kafka client: %w", err)
	}
	defer client.Close()
	ends, err := p.ends(ctx, client)
	if err != nil {
		return fmt.Errorf("cannot list the topics of %s: %w", p.Source, err)
	}
	d, err := newDecoder(p.Registry)
	if err != nil {
		return err
	}
	texts := map[int]string{}
	one := map[string]map[int32]int64{topic: ends[topic]}
	err = consume(ctx, client, one, func(r *kgo.Record) error {
		if r.Value == nil {
			return nil
		}
		if len(r.Value) < 5 || r.Value[0] != 0 {
			return errors.New("the value has no registry framing")
		}
		id := int(binary.BigEndian.Uint32(r.Value[1:]))
		if texts[id] == "" {
			schema, err := d.registry.SchemaByID(ctx, id)
			if err != nil {
				return fmt.Errorf("schema %d: %w", id, err)
			}
			texts[id] = schema.Schema
		}
		return f(texts[id], r.Value[5:])
	})
	if err != nil {
		return fmt.Errorf("cannot read topic %s: %w", topic, err)
	}
	return nil
}
