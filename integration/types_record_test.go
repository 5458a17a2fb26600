package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/linkedin/goavro/v2"
)

// avroType is a field's schema as another program sees it.
type avroType struct {
	Type, Logical    string
	Precision, Scale int
	Items            *avroType
}

// String is what the matrix shows.
func (a *avroType) String() string {
	switch {
	case a.Items != nil:
		return "array of " + a.Items.String()
	case a.Logical == "decimal":
		return fmt.Sprintf("bytes decimal(%d,%d)", a.Precision, a.Scale)
	case a.Logical != "":
		return a.Type + " " + a.Logical
	}
	return a.Type
}

func readType(v any) *avroType {
	switch v := v.(type) {
	case string:
		return &avroType{Type: v}
	case []any: // a union of null and the type
		return readType(v[len(v)-1])
	case map[string]any:
		a := &avroType{}
		a.Type, _ = v["type"].(string)
		a.Logical, _ = v["logicalType"].(string)
		precision, _ := v["precision"].(float64)
		scale, _ := v["scale"].(float64)
		a.Precision, a.Scale = int(precision), int(scale)
		if items, ok := v["items"]; ok {
			a.Items = readType(items)
		}
		return a
	}
	return &avroType{}
}

// envelopeReader decodes the records of one schema by goavro, without the logical types: the numbers
// and bytes as they stand.
type envelopeReader struct {
	raw    string // the schema without logical types
	codec  *goavro.Codec
	names  []string
	fields map[string]*avroType
}

func newEnvelopeReader(schema string) (*envelopeReader, error) {
	var tree map[string]any
	if err := json.Unmarshal([]byte(schema), &tree); err != nil {
		return nil, err
	}
	r := &envelopeReader{fields: map[string]*avroType{}}
	before := tree["fields"].([]any)[0].(map[string]any)["type"].([]any)[1].(map[string]any)
	for _, f := range before["fields"].([]any) {
		field := f.(map[string]any)
		name := field["name"].(string)
		r.names = append(r.names, name)
		r.fields[name] = readType(field["type"])
	}
	if _, err := goavro.NewCodec(schema); err != nil { // with them, it must be accepted too
		return nil, err
	}
	plain, err := json.Marshal(withoutLogical(tree))
	if err != nil {
		return nil, err
	}
	r.raw = string(plain)
	r.codec, err = goavro.NewCodec(r.raw)
	return r, err
}

func withoutLogical(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutLogical(v[i])
		}
	case map[string]any:
		delete(v, "logicalType")
		for k := range v {
			v[k] = withoutLogical(v[k])
		}
	}
	return v
}

// decoded is one record's new row.
type decoded struct {
	op      string
	row     map[string]any    // by field, as goavro gives it, unions taken off
	special map[string]string // by field
}

func (r *envelopeReader) decode(body []byte) (*decoded, error) {
	native, rest, err := r.codec.NativeFromBinary(body)
	if err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes are left: %w", len(rest), err)
	}
	envelope := native.(map[string]any)
	d := &decoded{op: envelope["op"].(string), row: map[string]any{}, special: map[string]string{}}
	if after, ok := unwrap(envelope["after"]).(map[string]any); ok {
		for name, v := range after {
			d.row[name] = unwrap(v)
		}
	}
	if special, ok := unwrap(envelope["special"]).(map[string]any); ok {
		for name, v := range special {
			d.special[name] = v.(string)
		}
	}
	return d, nil
}

// unwrap takes the union off a value: goavro gives a map of one entry, named by the branch.
func unwrap(v any) any {
	if m, ok := v.(map[string]any); ok && len(m) == 1 {
		for _, inner := range m {
			return inner
		}
	}
	return v
}

// canonical writes a value so that two libraries can be compared, long ones as their hash.
func canonical(v any) string {
	text := canonicalText(v)
	if len(text) > 200 {
		sum := sha256.Sum256([]byte(text))
		return "sha256 " + hex.EncodeToString(sum[:])
	}
	return text
}

func canonicalText(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf("bool %t", v)
	case int32, int64:
		return fmt.Sprintf("int %d", v)
	case float32:
		return canonicalText(float64(v))
	case float64:
		return fmt.Sprintf("float %016x", math.Float64bits(v))
	case []byte:
		return "bytes " + hex.EncodeToString(v)
	case string:
		return "string " + v
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = canonicalText(unwrap(v[i]))
		}
		return "[" + strings.Join(items, "|") + "]"
	}
	return fmt.Sprintf("%T", v)
}

// line is what the Python script prints for the same record.
func (d *decoded) line(id int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", id, d.op)
	for _, name := range slices.Sorted(maps.Keys(d.row)) {
		fmt.Fprintf(&b, " %s=%s", name, canonical(d.row[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(d.special)) {
		fmt.Fprintf(&b, " special.%s=%s", name, canonical(d.special[name]))
	}
	return strings.ReplaceAll(b.String(), "\n", `\n`)
}

// literal gives the text that means the field's value to PostgreSQL; not ok is NULL.
func (d *decoded) literal(name string, a *avroType, delimiter byte) (text string, ok bool) {
	if text, ok = d.special[name]; ok {
		return text, true
	}
	return a.literal(d.row[name], delimiter)
}

func (a *avroType) literal(v any, delimiter byte) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case bool:
		return strconv.FormatBool(v), true
	case int32:
		return a.integer(int64(v)), true
	case int64:
		return a.integer(v), true
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case string:
		return v, true
	case []byte:
		if a.Logical == "decimal" {
			return a.decimal(v), true
		}
		return `\x` + hex.EncodeToString(v), true
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = "\x00"
			if item, ok := a.Items.literal(unwrap(v[i]), delimiter); ok {
				items[i] = item
			}
		}
		c := typeCase{delimiter: delimiter}
		return c.literal(items...), true
	}
	return fmt.Sprintf("%T", v), true
}

func (a *avroType) integer(v int64) string {
	switch a.Logical {
	case "date":
		return era(time.Unix(v*86400, 0).UTC(), "%04d-%02d-%02d")
	case "time-micros":
		return fmt.Sprintf("%02d:%02d:%02d.%06d", v/3600e6, v/60e6%60, v/1e6%60, v%1e6)
	case "timestamp-micros", "local-timestamp-micros":
		t := time.UnixMicro(v).UTC()
		return era(t, "%04d-%02d-%02d "+t.Format("15:04:05.000000")+"+00")
	}
	return strconv.FormatInt(v, 10)
}

// era writes a date of any year, in the calendar of the time package.
func era(t time.Time, format string) string {
	year, suffix := t.Year(), ""
	if year <= 0 {
		year, suffix = 1-year, " BC"
	}
	return fmt.Sprintf(format, year, t.Month(), t.Day()) + suffix
}

func (a *avroType) decimal(b []byte) string {
	v := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v.String() + "e-" + strconv.Itoa(a.Scale)
}
