package embedded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"
)

// schema is a schema text under its id.
type schema struct {
	id       int
	text     string // JSON without white space between tokens
	identity string
	parse    func() (*avro.Schema, error) // for comparisons; on demand and once: most old versions are never compared
}

func newSchema(id int, text string) *schema {
	return &schema{
		id: id, text: text, identity: identify(text),
		parse: sync.OnceValues(func() (*avro.Schema, error) { return avro.Parse(strict(text)) }),
	}
}

// checkSchema gives the text as it is stored, or says why it is no Avro schema. Two parsers of
// different make must agree, since readers are of every make.
func checkSchema(text string) (stored string, err error) {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		b.Reset()
		// A primitive type may come as a bare word, as Avro's own tools write it.
		quoted, _ := json.Marshal(text)
		b.Write(quoted)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the parser broke on it: %v", p)
		}
	}()
	if _, err := avro.Parse(b.String()); err != nil {
		return "", err
	}
	if _, err := goavro.NewCodec(b.String()); err != nil {
		return "", err
	}
	return b.String(), nil
}

// identify gives what two texts of the same schema have in common: the order of attributes, white
// space and the long form of a primitive type do not count; documentation, defaults and properties do.
func identify(text string) string {
	return rewrite(text, simplify)
}

// rewrite gives text with f applied to what it holds, or text itself where it is no JSON. Maps come
// out sorted.
func rewrite(text string, f func(any) any) string {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber() // a default such as 12345678901234567890 must not be rounded
	var v any
	if err := d.Decode(&v); err != nil {
		return text
	}
	b, err := json.Marshal(f(v))
	if err != nil {
		return text
	}
	return string(b)
}

// simplify writes {"type": "string"} as "string", everywhere.
func simplify(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			v[k] = simplify(m)
		}
		if name, ok := v["type"].(string); ok && len(v) == 1 {
			return name
		}
	case []any:
		for i, m := range v {
			v[i] = simplify(m)
		}
	}
	return v
}

// strict gives a schema that compares as Avro's specification says. The parser gives a field of type
// ["null", T] without a default the default null, which Java's and Python's readers do not: they
// cannot read a record that lacks the field. With null at the end of the union it gives none.
func strict(text string) string { return rewrite(text, withoutImpliedDefaults) }

func withoutImpliedDefaults(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if k != "default" {
				v[k] = withoutImpliedDefaults(m)
			}
		}
		fields, _ := v["fields"].([]any)
		for _, f := range fields {
			nullLast(f)
		}
	case []any:
		for i, m := range v {
			v[i] = withoutImpliedDefaults(m)
		}
	}
	return v
}

func nullLast(field any) {
	f, _ := field.(map[string]any)
	union, _ := f["type"].([]any)
	if _, set := f["default"]; set || len(union) < 2 || union[0] != "null" {
		return
	}
	f["type"] = append(union[1:len(union):len(union)], "null")
}
