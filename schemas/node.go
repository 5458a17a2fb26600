package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Node is a schema that was read: what a decoder is compiled from. A named type that is used again
// is the same Node, so the graph may have cycles.
type Node struct {
	Type     string // null boolean int long float double bytes string record enum fixed array map union
	Name     string // full name of a record, enum or fixed
	Logical  string
	Scale    int
	Size     int // of a fixed
	Fields   []Field
	Items    *Node   // of an array, values of a map
	Branches []*Node // of a union
	Props    map[string]string
}

// Field is a field of a record, with its properties that are strings or numbers.
type Field struct {
	Name  string
	Type  *Node
	Props map[string]string
}

// Field finds a record's field by name, nil when there is none.
func (n *Node) Field(name string) *Field {
	for i := range n.Fields {
		if n.Fields[i].Name == name {
			return &n.Fields[i]
		}
	}
	return nil
}

// Parse reads schema text, of ours or of others. It checks what a decoder relies on, not all that
// the specification asks.
func Parse(schema string) (*Node, error) {
	var v any
	if err := json.Unmarshal([]byte(schema), &v); err != nil {
		return nil, fmt.Errorf("cannot read the Avro schema: %w", err)
	}
	n, err := (&parser{named: map[string]*Node{}}).node(v, "")
	if err != nil {
		return nil, fmt.Errorf("cannot read the Avro schema: %w", err)
	}
	return n, nil
}

type parser struct{ named map[string]*Node }

func (p *parser) node(v any, space string) (*Node, error) {
	switch v := v.(type) {
	case string:
		return p.reference(v, space)
	case []any:
		return p.union(v, space)
	case map[string]any:
		if inner, isText := v["type"].(string); isText {
			return p.object(inner, v, space)
		}
		return p.node(v["type"], space)
	}
	return nil, fmt.Errorf("%v is no schema", v)
}

func (p *parser) reference(name, space string) (*Node, error) {
	switch name {
	case "null", "boolean", "int", "long", "float", "double", "bytes", "string":
		return &Node{Type: name}, nil
	}
	if n := p.named[fullName(name, space)]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("type %q is not known", name)
}

func (p *parser) union(branches []any, space string) (*Node, error) {
	n := &Node{Type: "union"}
	for _, b := range branches {
		branch, err := p.node(b, space)
		if err != nil {
			return nil, err
		}
		n.Branches = append(n.Branches, branch)
	}
	return n, nil
}

func (p *parser) object(kind string, v map[string]any, space string) (*Node, error) {
	n := &Node{Type: kind, Props: properties(v)}
	var err error
	switch kind {
	case "record", "error":
		n.Type = "record"
		err = p.record(n, v, space)
	case "enum", "fixed":
		size, _ := v["size"].(float64)
		n.Size = int(size)
		if size < 0 || size > 1<<30 {
			return nil, fmt.Errorf("a fixed of %v bytes", size)
		}
		p.name(n, v, space)
	case "array":
		n.Items, err = p.node(v["items"], space)
	case "map":
		n.Items, err = p.node(v["values"], space)
	default:
		if n, err = p.reference(kind, space); err == nil && n.Props == nil && n.Name == "" {
			n.Props = properties(v)
		}
	}
	if err != nil {
		return nil, err
	}
	if n.Name == "" || n.Type == "fixed" {
		n.Logical, _ = v["logicalType"].(string)
		scale, _ := v["scale"].(float64)
		n.Scale = int(scale)
	}
	return n, nil
}

func (p *parser) record(n *Node, v map[string]any, space string) error {
	space = p.name(n, v, space)
	fields, ok := v["fields"].([]any)
	if !ok {
		return errors.New("a record without fields")
	}
	for _, f := range fields {
		m, _ := f.(map[string]any)
		name, _ := m["name"].(string)
		t, err := p.node(m["type"], space)
		if err != nil {
			return fmt.Errorf("field %q of %s: %w", name, n.Name, err)
		}
		n.Fields = append(n.Fields, Field{Name: name, Type: t, Props: properties(m)})
	}
	return nil
}

// name registers a named type and gives the namespace that holds inside it.
func (p *parser) name(n *Node, v map[string]any, space string) string {
	name, _ := v["name"].(string)
	if s, has := v["namespace"].(string); has {
		space = s
	}
	n.Name = fullName(name, space)
	p.named[n.Name] = n
	if i := strings.LastIndexByte(n.Name, '.'); i >= 0 {
		return n.Name[:i]
	}
	return ""
}

func fullName(name, space string) string {
	if space == "" || strings.Contains(name, ".") {
		return name
	}
	return space + "." + name
}

func properties(v map[string]any) map[string]string {
	props := map[string]string{}
	for k, p := range v {
		switch p := p.(type) {
		case string:
			props[k] = p
		case float64:
			props[k] = strconv.FormatFloat(p, 'f', -1, 64)
		}
	}
	return props
}
