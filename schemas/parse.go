package schemas

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
)

// ParseTable reads a table back from its schemas. What they do not hold stays zero: the OIDs of types
// that are not built in. A schema of another writer gives a table too,
// with the nearest type for each field; without an envelope it is an error. The key's schema may be
// left out: in the rows of ours, the columns of the key are those that are never null.
func ParseTable(p Pair) (*change.Table, error) {
	value, err := Parse(p.Value)
	if err != nil {
		return nil, err
	}
	rows := Row(value)
	if rows == nil {
		return nil, errors.New("cannot read a table from the Avro schema: it has no field before or after that holds a record")
	}
	t := &change.Table{Schema: value.Props["sluice.schema"], Name: value.Props["sluice.table"], Identity: change.IdentityDefault}
	if id := value.Props["sluice.identity"]; len(id) == 1 {
		t.Identity = change.Identity(id[0])
	}
	t.OID = uint32(number(value.Props, "sluice.oid", 32))
	for i, f := range rows.Fields {
		t.Columns = append(t.Columns, column(&f))
		if p.Key == "" && t.Name != "" && f.Type.Type != "union" {
			t.Key = append(t.Key, i)
		}
	}
	if p.Key == "" {
		return t, nil
	}
	return t, parseKey(t, p.Key)
}

// Row gives the record of an envelope's rows, nil when it has none.
func Row(envelope *Node) *Node {
	for _, name := range []string{"after", "before"} {
		if f := envelope.Field(name); f != nil {
			if r := value(f.Type); r != nil && r.Type == "record" {
				return r
			}
		}
	}
	return nil
}

// value looks through an optional: the branch of a union that is not null.
func value(n *Node) *Node {
	if n.Type != "union" {
		return n
	}
	for _, b := range n.Branches {
		if b.Type != "null" {
			return b
		}
	}
	return nil
}

func parseKey(t *change.Table, schema string) error {
	key, err := Parse(schema)
	if err != nil {
		return err
	}
	for _, f := range key.Fields {
		i := columnIndex(t, columnName(&f))
		if i < 0 {
			return fmt.Errorf("cannot read a table from the Avro schemas: the key's column %q is not in the rows of %s", columnName(&f), quoted(t))
		}
		t.Key = append(t.Key, i)
	}
	return nil
}

func columnIndex(t *change.Table, name string) int {
	return slices.IndexFunc(t.Columns, func(c change.Column) bool { return c.Name == name })
}

func column(f *Field) change.Column {
	c := change.Column{Name: columnName(f), Type: columnType(f), Attnum: int16(number(f.Props, "sluice.attnum", 15))}
	if f.Name != FieldName(c.Name) {
		c.Field = f.Name
	}
	if missing, has := f.Props["sluice.missing"]; has {
		c.Missing = &missing
	}
	c.Untold, _ = change.ParseLSN(f.Props["sluice.untold"]) // 0 when there is none
	return c
}

// number gives a property that is a whole number of up to bits bits; 0 when it is absent or another.
func number(props map[string]string, key string, bits int) uint64 {
	n, err := strconv.ParseUint(props[key], 10, bits)
	if err != nil {
		return 0
	}
	return n
}

func columnName(f *Field) string {
	if name, has := f.Props["sluice.name"]; has {
		return name
	}
	return f.Name
}

func columnType(f *Field) change.Type {
	held := value(f.Type)
	isArray := held != nil && held.Type == "array"
	if name, has := f.Props["sluice.type"]; has {
		t := parseType(name, f.Props["sluice.kind"] == kindText, isArray)
		if isString(held) {
			t = WithISO(t)
		}
		return t
	}
	return parseType(nearest(held), false, isArray)
}

// isString tells strings and arrays of them.
func isString(n *Node) bool {
	if n != nil && n.Type == "array" {
		n = value(n.Items)
	}
	return n != nil && n.Type == "string"
}

// nearest names a PostgreSQL type that holds what a field of another writer does.
func nearest(n *Node) string {
	if n == nil {
		return "text"
	}
	switch n.Type + " " + n.Logical {
	case "int date":
		return "date"
	case "long time-micros":
		return "time without time zone"
	case "long local-timestamp-micros":
		return "timestamp without time zone"
	case "long timestamp-micros":
		return "timestamp with time zone"
	case "string uuid":
		return "uuid"
	case "bytes decimal":
		return "numeric"
	}
	switch n.Type {
	case "boolean":
		return "boolean"
	case "int":
		return "integer"
	case "long":
		return "bigint"
	case "float":
		return "real"
	case "double":
		return "double precision"
	case "bytes":
		return "bytea"
	case "array":
		return nearest(value(n.Items)) + "[]"
	}
	return "text"
}
