package check

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/sluicecdc/sluice/internal/change"
)

// decoder turns registry-framed Avro into maps, by schemas that it asks the registry for.
type decoder struct {
	registry *sr.Client
	codecs   map[int]*goavro.Codec
	tables   map[int]uint32 // sluice.oid by schema
}

func newDecoder(registry string) (*decoder, error) {
	client, err := sr.NewClient(sr.URLs(registry))
	if err != nil {
		return nil, fmt.Errorf("cannot make a registry client: %w", err)
	}
	return &decoder{registry: client, codecs: map[int]*goavro.Codec{}, tables: map[int]uint32{}}, nil
}

// fields is a decoded Avro record.
type fields map[string]any

// in gives the value inside a union, which goavro wraps in a map of one entry.
func in(v any) any {
	if wrapped, ok := v.(map[string]any); ok && len(wrapped) == 1 {
		for _, inner := range wrapped {
			return inner
		}
	}
	return v
}

func (f fields) long(name string) int64 {
	n, _ := in(f[name]).(int64)
	return n
}

func (f fields) text(name string) string {
	s, _ := in(f[name]).(string)
	return s
}

func (f fields) block(name string) fields {
	if inner, ok := in(f[name]).(map[string]any); ok {
		return inner
	}
	inner, _ := f[name].(map[string]any)
	return inner
}

func (d *decoder) decode(ctx context.Context, framed []byte) (fields, error) {
	if len(framed) < 5 || framed[0] != 0 {
		return nil, errors.New("the value does not begin with magic 0 and a schema id")
	}
	id := schemaID(framed)
	codec := d.codecs[id]
	if codec == nil {
		schema, err := d.registry.SchemaByID(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("schema %d: %w", id, err)
		}
		if codec, err = goavro.NewCodec(schema.Schema); err != nil {
			return nil, fmt.Errorf("schema %d: %w", id, err)
		}
		d.codecs[id] = codec
		d.tables[id] = tableOf(schema.Schema)
	}
	native, rest, err := codec.NativeFromBinary(framed[5:])
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("schema %d: %d bytes are left over", id, len(rest))
	}
	record, ok := native.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("schema %d is not that of a record", id)
	}
	return record, nil
}

// tableOf gives the number of the table that a schema is of, 0 where it does not say.
func tableOf(schema string) uint32 {
	var properties struct {
		OID uint32 `json:"sluice.oid"`
	}
	_ = json.Unmarshal([]byte(schema), &properties) // goavro has read it
	return properties.OID
}

// schemaID is the id in the framing.
func schemaID(framed []byte) int { return int(binary.BigEndian.Uint32(framed[1:])) }

// record decodes a record of a table's topic. A TRUNCATE has its envelope in a header, since readers
// of other make cannot pass it.
func (d *decoder) record(ctx context.Context, r *kgo.Record) (Record, error) {
	record := Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key}
	if r.Key != nil {
		if _, err := d.decode(ctx, r.Key); err != nil {
			return record, fmt.Errorf("key: %w", err)
		}
	}
	framed := r.Value
	if framed == nil {
		if framed = header(r, "sluice.value"); framed == nil {
			record.Tombstone = true
			return record, nil
		}
		if string(header(r, "sluice.op")) != "t" {
			return record, errors.New("header sluice.value stands beside another sluice.op than t")
		}
	}
	envelope, err := d.decode(ctx, framed)
	if err != nil {
		return record, err
	}
	record.Table = d.tables[schemaID(framed)]
	return record, record.fill(envelope)
}

func header(r *kgo.Record, key string) []byte {
	for _, h := range r.Headers {
		if h.Key == key {
			return h.Value
		}
	}
	return nil
}

func (r *Record) fill(envelope fields) error {
	op := envelope.text("op")
	if len(op) != 1 {
		return fmt.Errorf("op is %q", op)
	}
	source, transaction := envelope.block("source"), envelope.block("transaction")
	r.Op = op[0]
	r.Collection = source.text("schema") + "." + source.text("table")
	if r.Op == byte(change.Message) {
		r.Collection = "message"
	}
	r.Position = change.Position{Commit: change.LSN(source.long("commit_lsn")), Ordinal: source.long("ordinal")}
	r.Rises = envelope.block("after").long("rises")
	snapshot := source.text("snapshot")
	r.Snapshot = snapshot != "" && snapshot != "false"
	r.Group = transaction.text("id")
	r.TotalOrder, r.CollectionOrder = transaction.long("total_order"), transaction.long("data_collection_order")
	if r.Group == "" || r.Position.Commit == 0 || r.Position.Ordinal == 0 {
		return errors.New("transaction.id, source.commit_lsn or source.ordinal is not set")
	}
	return nil
}

func (d *decoder) end(ctx context.Context, r *kgo.Record) (End, error) {
	f, err := d.decode(ctx, r.Value)
	if err != nil {
		return End{}, err
	}
	e := End{Offset: r.Offset, Status: f.text("status"), ID: f.text("id"), EventCount: f.long("event_count"),
		Commit: change.LSN(f.long("commit_lsn")), Reason: f.block("gap").text("reason")}
	e.Snapshot, _ = f["snapshot"].(bool)
	list, _ := in(f["data_collections"]).([]any)
	for _, item := range list {
		e.Collections = append(e.Collections, collection(item))
	}
	copying, _ := in(f["copying"]).([]any)
	for _, item := range copying {
		name, _ := item.(string)
		e.Copying = append(e.Copying, name)
	}
	if e.ID == "" || e.Commit == 0 {
		return e, errors.New("id or commit_lsn is not set")
	}
	return e, nil
}

func collection(item any) Collection {
	f, _ := item.(map[string]any)
	c := Collection{Name: fields(f).text("data_collection"), EventCount: fields(f).long("event_count"), Held: fields(f).long("held"), Partitions: map[int32]int64{}}
	list, _ := f["partitions"].([]any)
	for _, item := range list {
		p, _ := item.(map[string]any)
		number, _ := p["partition"].(int32)
		c.Partitions[number] = fields(p).long("event_count")
	}
	return c
}
