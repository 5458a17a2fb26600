package schemas

import (
	"encoding/json"
	"fmt"

	"github.com/linkedin/goavro/v2"

	"github.com/sluicecdc/sluice/internal/change"
)

// Pair is a topic's key and value schema as JSON text. Key is empty for a table without key.
type Pair struct{ Key, Value string }

// ForTable gives the schemas of a table version: Key holds the key's columns, the value is an
// Envelope whose rows are of the record Value. A key's columns are never null, there and in rows,
// since the replica identity always carries them; all others are nullable with default null, so that
// adding or dropping a column is compatible. The text is checked by an independent Avro library.
func ForTable(topic string, t *change.Table) (Pair, error) {
	names, err := FieldNames(t)
	if err != nil {
		return Pair{}, err
	}
	p := Pair{Value: text(envelope(topic, t, names))}
	if len(t.Key) > 0 {
		p.Key = text(record("Key", topic, keyFields(t, names)))
	}
	if err := p.check(); err != nil {
		return Pair{}, fmt.Errorf("cannot make the schemas of table %s: %w: the table is not published", quoted(t), err)
	}
	return p, nil
}

func keyFields(t *change.Table, names []string) []field {
	fields := make([]field, len(t.Key))
	for i, k := range t.Key {
		fields[i] = columnField(names[k], &t.Columns[k], false)
	}
	return fields
}

func envelope(topic string, t *change.Table, names []string) schema {
	columns := make([]field, len(t.Columns))
	for i := range t.Columns {
		columns[i] = columnField(names[i], &t.Columns[i], !t.IsKey(i))
		// Not in the key's schema: its id is part of a key's bytes, which decide the partition.
		columns[i].Attnum, columns[i].Missing = t.Columns[i].Attnum, t.Columns[i].Missing
		if at := t.Columns[i].Untold; at != 0 {
			columns[i].Untold = at.String()
		}
	}
	e := record("Envelope", topic, []field{
		optional("before", schema{Type: "record", Name: "Value", Fields: columns}),
		optional("after", "Value"),
		{Name: "source", Type: sourceBlock()},
		optional("transaction", transactionBlock()),
		{Name: "op", Type: "string"},
		optional("ts_ms", "long"),
		optional("ts_us", "long"),
		optional("ts_ns", "long"),
		optional("unchanged", schema{Type: "array", Items: "string"}),
		optional("special", schema{Type: "map", Values: "string"}),
	})
	e.Schema, e.Table, e.Identity, e.OID = t.Schema, t.Name, string(rune(t.Identity)), t.OID
	return e
}

func record(name, topic string, fields []field) schema {
	return schema{Type: "record", Name: name, Namespace: Namespace(topic), Fields: fields}
}

// text cannot fail: a schema holds strings, numbers and lists of them only.
func text(s schema) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func (p Pair) check() error {
	for _, s := range []string{p.Key, p.Value} {
		if s == "" {
			continue
		}
		if _, err := goavro.NewCodec(s); err != nil {
			return err
		}
	}
	return nil
}
