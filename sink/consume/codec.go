package consume

import (
	"context"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// Headers of the contract (docs/records.md).
const (
	headerOp     = "sluice.op"
	headerValue  = "sluice.value"
	headerNewKey = "sluice.newkey"
	headerOldKey = "sluice.oldkey"
)

// codec turns records into changes and ENDs.
type codec interface {
	// change decodes r, a record of a table, into out; bytes and rows are in the buffer.
	change(ctx context.Context, r *kafka.Record, into *buffer, out *avro.Record) error
	// end decodes a record of the transaction topic, reusing the slices of out.
	end(r *kafka.Record, out *avro.End) error
	// table gives the table that schemas describe.
	table(ctx context.Context, ids avro.SchemaIDs) (*change.Table, error)
}

// schemaSource gives schemas (registry.Client).
type schemaSource interface {
	Schema(ctx context.Context, id int) (string, error)
}

// schemaPair identifies a compiled decoder; key is 0 for a record without key. That of a TRUNCATE has
// none in a table with one: the decoder knows the key by the rows.
type schemaPair struct{ key, value int }

// avroCodec keeps a decoder for each pair of writer schemas, for good: ids never change and a table has
// one pair for each of its versions.
type avroCodec struct {
	schemas  schemaSource
	decoders map[schemaPair]*avro.Decoder
	last     schemaPair // of most records, so that a run of one table needs no look-up
	decoder  *avro.Decoder
}

func newCodec(s schemaSource) *avroCodec {
	return &avroCodec{schemas: s, decoders: map[schemaPair]*avro.Decoder{}}
}

func (a *avroCodec) end(r *kafka.Record, out *avro.End) error {
	_, body, err := avro.SplitFrame(r.Value)
	if err != nil {
		return err
	}
	return avro.DecodeEnd(body, out)
}

func (a *avroCodec) table(ctx context.Context, ids avro.SchemaIDs) (*change.Table, error) {
	d, err := a.find(ctx, schemaPair{int(ids.Key), int(ids.Value)})
	if err != nil {
		return nil, err
	}
	return d.Table(), nil
}

func (a *avroCodec) change(ctx context.Context, r *kafka.Record, into *buffer, out *avro.Record) error {
	ids, body, err := split(r)
	if err != nil {
		return err
	}
	d, err := a.find(ctx, ids)
	if err != nil {
		return err
	}
	if err := decode(d, body, into, out); err != nil {
		return err
	}
	out.Change.Table = d.Table()
	return decodeOtherKey(d, r, into, &out.Change)
}

// split gives the schemas of a record and its envelope without frame.
func split(r *kafka.Record) (ids schemaPair, body []byte, err error) {
	value := r.Value
	if value == nil {
		value = header(r, headerValue)
	}
	if ids.value, body, err = avro.SplitFrame(value); err != nil {
		return ids, nil, err
	}
	if r.Key != nil {
		if ids.key, _, err = avro.SplitFrame(r.Key); err != nil {
			return ids, nil, fmt.Errorf("key: %w", err)
		}
	}
	return ids, body, nil
}

func (a *avroCodec) find(ctx context.Context, p schemaPair) (*avro.Decoder, error) {
	if a.decoder != nil && a.last == p {
		return a.decoder, nil
	}
	d := a.decoders[p]
	if d == nil {
		var err error
		if d, err = a.compile(ctx, p); err != nil {
			return nil, err
		}
		a.decoders[p] = d
	}
	a.last, a.decoder = p, d
	return d, nil
}

func (a *avroCodec) compile(ctx context.Context, p schemaPair) (*avro.Decoder, error) {
	key := ""
	if p.key != 0 {
		var err error
		if key, err = a.schemas.Schema(ctx, p.key); err != nil {
			return nil, fmt.Errorf("cannot get the schema of the key: %w", err)
		}
	}
	value, err := a.schemas.Schema(ctx, p.value)
	if err != nil {
		return nil, fmt.Errorf("cannot get the schema of the value: %w", err)
	}
	d, err := avro.NewDecoder(key, value)
	if err != nil {
		return nil, fmt.Errorf("cannot read schemas %d (key) and %d (value): %w", p.key, p.value, err)
	}
	return d, nil
}

// decode hands the decoder rows of the buffer, so that no row is allocated by itself.
func decode(d *avro.Decoder, body []byte, into *buffer, out *avro.Record) error {
	n := len(d.Table().Columns)
	out.Change = change.Change{After: into.row(n), Before: into.row(n)}
	if err := d.Envelope(body, out, &into.arena); err != nil {
		return err
	}
	c := &out.Change
	if len(c.Before) == 0 {
		into.giveBack(n)
		c.Before = nil
	}
	if len(c.After) == 0 {
		c.After = nil
	}
	return nil
}

func decodeOtherKey(d *avro.Decoder, r *kafka.Record, into *buffer, c *change.Change) error {
	c.OtherKey = nil
	name := headerOldKey
	if c.Op == change.Delete {
		name = headerNewKey
	}
	framed := header(r, name)
	if framed == nil {
		return nil
	}
	_, body, err := avro.SplitFrame(framed)
	if err != nil {
		return fmt.Errorf("header %s: %w", name, err)
	}
	if c.OtherKey, err = d.Key(body, into.row(len(d.Table().Columns)), &into.arena); err != nil {
		return fmt.Errorf("header %s: %w", name, err)
	}
	return nil
}

func header(r *kafka.Record, name string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == name {
			return r.Headers[i].Value
		}
	}
	return nil
}

// isTombstone tells a delete's tombstone from a TRUNCATE, which has a null value too.
func isTombstone(r *kafka.Record) bool { return r.Value == nil && header(r, headerOp) == nil }
