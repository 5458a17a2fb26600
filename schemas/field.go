package schemas

import (
	"encoding/json"

	"github.com/sluicecdc/sluice/internal/change"
)

// schema is an Avro schema in the order in which it is printed.
type schema struct {
	Type        string  `json:"type"`
	Name        string  `json:"name,omitempty"`
	Namespace   string  `json:"namespace,omitempty"`
	Fields      []field `json:"fields,omitempty"`
	Items       any     `json:"items,omitempty"`
	Values      any     `json:"values,omitempty"`
	Precision   int     `json:"precision,omitempty"`
	Scale       *int    `json:"scale,omitempty"`
	LogicalType string  `json:"logicalType,omitempty"`
	ConnectName string  `json:"connect.name,omitempty"`
	ConnectType string  `json:"connect.type,omitempty"`
	Schema      string  `json:"sluice.schema,omitempty"`
	Table       string  `json:"sluice.table,omitempty"`
	Identity    string  `json:"sluice.identity,omitempty"`
	OID         uint32  `json:"sluice.oid,omitempty"`
}

type field struct {
	Name    string          `json:"name"`
	Type    any             `json:"type"`
	Default json.RawMessage `json:"default,omitempty"`
	Column  string          `json:"sluice.name,omitempty"`
	PgType  string          `json:"sluice.type,omitempty"`
	Kind    string          `json:"sluice.kind,omitempty"`
	Attnum  int16           `json:"sluice.attnum,omitempty"`
	Missing *string         `json:"sluice.missing,omitempty"`
	Untold  string          `json:"sluice.untold,omitempty"`
}

// kindText is the value of sluice.kind that marks plain text of a type that is not built in.
const kindText = "text"

func optional(name string, t any) field {
	return field{Name: name, Type: []any{"null", t}, Default: json.RawMessage("null")}
}

// columnField is the field of a column, nullable or, as part of a key, not.
func columnField(name string, c *change.Column, nullable bool) field {
	f := field{Name: name, Type: avroType(&c.Type, false)}
	if nullable {
		f = optional(name, f.Type)
	} else {
		f.Default = zero(f.Type)
	}
	if name != c.Name {
		f.Column = c.Name
	}
	f.PgType = c.Type.Name
	if isOwnText(&c.Type) {
		f.Kind = kindText
	}
	return f
}

// zero is the default of a key's field, for readers of older schemas only: without one no key could
// ever gain, lose or rename a column in a registry that checks compatibility.
func zero(avro any) json.RawMessage {
	kind, _ := avro.(string)
	if s, isSchema := avro.(schema); isSchema {
		kind = s.Type
		if s.LogicalType == "uuid" {
			return json.RawMessage(`"00000000-0000-0000-0000-000000000000"`)
		}
	}
	switch kind {
	case "boolean":
		return json.RawMessage("false")
	case "int", "long", "float", "double":
		return json.RawMessage("0")
	case "array":
		return json.RawMessage("[]")
	}
	return json.RawMessage(`""`)
}

func isOwnText(t *change.Type) bool {
	if t.Kind == change.Array {
		return isOwnText(t.Elem)
	}
	_, _, known := builtinByOID(t.OID)
	return t.Kind == change.TextLike && !known
}

// avroType is the table of types of docs/records.md. Connect's names stand beside logical types,
// except on array items, where converters stop at them.
func avroType(t *change.Type, item bool) any {
	var s schema
	switch t.Kind {
	case change.Bool:
		return "boolean"
	case change.Int2:
		s = schema{Type: "int", ConnectType: "int16"}
	case change.Int4:
		return "int"
	case change.Int8, change.OID:
		return "long"
	case change.Float4:
		return "float"
	case change.Float8:
		return "double"
	case change.Bytea:
		return "bytes"
	case change.Numeric:
		if !IsDecimal(t) {
			return "string"
		}
		return schema{Type: "bytes", Precision: t.Precision, Scale: &t.Scale, LogicalType: "decimal"}
	case change.UUID:
		s = schema{Type: "string", LogicalType: "uuid", ConnectName: "io.debezium.data.Uuid"}
	case change.JSON, change.JSONB:
		s = schema{Type: "string", ConnectName: "io.debezium.data.Json"}
	case change.XML:
		s = schema{Type: "string", ConnectName: "io.debezium.data.Xml"}
	case change.Date:
		return schema{Type: "int", LogicalType: "date"}
	case change.Time:
		s = schema{Type: "long", LogicalType: "time-micros", ConnectName: "io.debezium.time.MicroTime"}
	case change.Timestamp:
		s = schema{Type: "long", LogicalType: "local-timestamp-micros", ConnectName: "io.debezium.time.MicroTimestamp"}
	case change.TimestampTZ:
		if !t.ISO {
			return schema{Type: "long", LogicalType: "timestamp-micros"}
		}
		s = schema{Type: "string", ConnectName: "io.debezium.time.ZonedTimestamp"}
	case change.Array:
		return schema{Type: "array", Items: []any{"null", avroType(t.Elem, true)}}
	default:
		return "string"
	}
	return withoutConnect(s, item)
}

func withoutConnect(s schema, item bool) any {
	if !item {
		return s
	}
	s.ConnectName, s.ConnectType = "", ""
	if s.LogicalType == "" {
		return s.Type
	}
	return s
}
