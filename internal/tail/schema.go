package tail

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/linkedin/goavro/v2"
)

// schema is what the writer of plain JSON needs to know of an Avro schema: the order of fields, and
// what a long or a run of bytes stands for.
type schema struct {
	kind    string // Avro's type name, or "union"
	logical string
	scale   int
	fields  []field   // of a record
	items   *schema   // of an array or a map
	options []*schema // of a union
}

type field struct {
	name string
	of   *schema
}

// codec reads one schema's records.
type codec struct {
	avro *goavro.Codec
	of   *schema
}

// newCodec compiles a schema. The library is given the schema without its logical types, so that
// what it hands over is exact: it would go through floating point and local time for some of them.
func newCodec(text string) (*codec, error) {
	var raw any
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, fmt.Errorf("cannot read the schema: %w", err)
	}
	of, err := parseSchema(raw, map[string]*schema{}, "", 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read the schema: %w", err)
	}
	bare, err := json.Marshal(withoutLogical(raw))
	if err != nil {
		return nil, fmt.Errorf("cannot read the schema: %w", err)
	}
	avro, err := goavro.NewCodec(string(bare))
	if err != nil {
		return nil, fmt.Errorf("cannot read the schema: %w", err)
	}
	return &codec{avro, of}, nil
}

func withoutLogical(raw any) any {
	switch raw := raw.(type) {
	case []any:
		for i := range raw {
			raw[i] = withoutLogical(raw[i])
		}
	case map[string]any:
		if _, isType := raw["type"]; isType {
			delete(raw, "logicalType")
		}
		for k, v := range raw {
			if k != "default" {
				raw[k] = withoutLogical(v)
			}
		}
	}
	return raw
}

// maxNesting bounds the depth of a schema that a registry hands us.
const maxNesting = 64

// parseSchema follows the Avro specification, "Schema Declaration". A name in short form belongs to
// the namespace it stands in.
func parseSchema(raw any, named map[string]*schema, namespace string, depth int) (*schema, error) {
	if depth > maxNesting {
		return nil, errors.New("it is nested too deeply")
	}
	switch raw := raw.(type) {
	case string:
		for _, name := range []string{raw, namespace + "." + raw} {
			if s, ok := named[name]; ok {
				return s, nil
			}
		}
		return &schema{kind: raw}, nil
	case []any:
		return parseUnion(raw, named, namespace, depth)
	case map[string]any:
		return parseComplex(raw, named, namespace, depth)
	}
	return nil, fmt.Errorf("%v is not a type", raw)
}

func parseUnion(raw []any, named map[string]*schema, namespace string, depth int) (*schema, error) {
	s := &schema{kind: "union"}
	for _, option := range raw {
		o, err := parseSchema(option, named, namespace, depth+1)
		if err != nil {
			return nil, err
		}
		s.options = append(s.options, o)
	}
	return s, nil
}

func parseComplex(raw map[string]any, named map[string]*schema, namespace string, depth int) (*schema, error) {
	kind, ok := raw["type"].(string)
	if !ok { // {"type": {...}}: the type proper is inside
		return parseSchema(raw["type"], named, namespace, depth+1)
	}
	s := &schema{kind: kind}
	s.logical, _ = raw["logicalType"].(string)
	if scale, ok := raw["scale"].(float64); ok && scale >= 0 && scale < 1<<16 {
		s.scale = int(scale)
	}
	if name, ok := raw["name"].(string); ok {
		if ns, ok := raw["namespace"].(string); ok {
			namespace = ns
		}
		named[name], named[namespace+"."+name] = s, s
	}
	switch kind {
	case "record":
		return s, s.parseFields(raw, named, namespace, depth)
	case "array":
		return s, s.parseItems(raw["items"], named, namespace, depth)
	case "map":
		return s, s.parseItems(raw["values"], named, namespace, depth)
	case "bytes", "fixed", "enum", "null", "boolean", "int", "long", "float", "double", "string":
		return s, nil
	}
	if known, ok := named[kind]; ok {
		return known, nil
	}
	return s, nil
}

func (s *schema) parseFields(raw map[string]any, named map[string]*schema, namespace string, depth int) error {
	list, _ := raw["fields"].([]any)
	for _, item := range list {
		f, _ := item.(map[string]any)
		name, ok := f["name"].(string)
		if !ok {
			return errors.New("a field has no name")
		}
		of, err := parseSchema(f["type"], named, namespace, depth+1)
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		s.fields = append(s.fields, field{name, of})
	}
	return nil
}

func (s *schema) parseItems(raw any, named map[string]*schema, namespace string, depth int) (err error) {
	s.items, err = parseSchema(raw, named, namespace, depth+1)
	return err
}
