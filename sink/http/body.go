package http

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/transform"
)

// Body is the shape of a JSON body: mappings and lists, and in them columns of the row and constants, written as in
// the key columns. What is computed is computed there.
type Body struct {
	// File says where it was written.
	File string
	root node
}

// node is an object (names and items), a list (items), or a leaf.
type node struct {
	names []string // nil in a list
	items []node
	leaf  *transform.Source
	value constant // of a leaf that is none
}

type constant struct {
	typ   change.Type
	value change.Value
}

// UnmarshalYAML reads the shape. Its error carries the place in the file.
func (b *Body) UnmarshalYAML(n ast.Node) error {
	root, err := readNode(n)
	if err == nil && root.leaf != nil {
		err = &yaml.SyntaxError{Message: "want a mapping or a list of columns, for example {id: id, name: full_name}", Token: n.GetToken()}
	}
	b.root = root
	return err
}

func readNode(n ast.Node) (out node, err error) {
	switch n := n.(type) {
	case ast.MapNode:
		out.names = []string{}
		for pairs := n.MapRange(); pairs.Next(); {
			name := pairs.Key().GetToken().Value
			if slices.Contains(out.names, name) {
				return out, &yaml.SyntaxError{Message: fmt.Sprintf("%s is written twice", name), Token: pairs.Key().GetToken()}
			}
			item, err := readNode(pairs.Value())
			if err != nil {
				return out, err
			}
			out.names, out.items = append(out.names, name), append(out.items, item)
		}
		return out, nil
	case *ast.SequenceNode:
		for _, v := range n.Values {
			item, err := readNode(v)
			if err != nil {
				return out, err
			}
			out.items = append(out.items, item)
		}
		return out, nil
	}
	return readLeaf(n)
}

func readLeaf(n ast.Node) (out node, err error) {
	out.leaf = &transform.Source{}
	if err := out.leaf.UnmarshalYAML(n); err != nil || out.leaf.Kind == transform.SourceColumn {
		return out, err
	}
	one := transform.Columns{{Name: "value", From: *out.leaf}}
	target := transform.Target{Schema: "body", Name: "body", Columns: one}
	m, err := target.Compile(&change.Table{})
	value, fixed := one.Constants()["value"]
	if err != nil || !fixed {
		return out, &yaml.SyntaxError{Message: fmt.Sprintf("%s is neither a column nor a constant: compute it in the key columns, and name that column here", out.leaf.Text), Token: n.GetToken()}
	}
	out.value = constant{m.Table().Columns[0].Type, value}
	return out, nil
}

// MarshalYAML gives the form that UnmarshalYAML reads.
func (b Body) MarshalYAML() (any, error) { return b.root.written(), nil }

func (n *node) written() any {
	switch {
	case n.leaf != nil:
		return *n.leaf
	case n.names == nil:
		list := []any{}
		for i := range n.items {
			list = append(list, n.items[i].written())
		}
		return list
	}
	object := yaml.MapSlice{}
	for i, name := range n.names {
		object = append(object, yaml.MapItem{Key: name, Value: n.items[i].written()})
	}
	return object
}

// bodyTemplate is a body for one version of a table. The zero value is no body.
type bodyTemplate struct {
	root *boundNode
	// partial leaves columns out of objects whose value the row does not hold.
	partial bool
}

type boundNode struct {
	names []string // as JSON, with the colon; nil in a list
	items []boundNode
	index int // of a leaf's column; -1 for a constant, -2 where it is no leaf
	text  []byte
}

// bind finds the columns. may tells which of them a call of this kind knows.
func (b *Body) bind(c *columns, may func(i int) error) (*boundNode, error) {
	return b.root.bind(b.File, c, may)
}

func (n *node) bind(file string, c *columns, may func(i int) error) (*boundNode, error) {
	switch {
	case n.leaf != nil && n.leaf.Kind == transform.SourceColumn:
		out := &boundNode{index: c.find(n.leaf.Column())}
		if out.index < 0 {
			return nil, n.fault(file, "%s is no column of %s: it has %s", n.leaf.Column(), c.table, c.names())
		}
		if err := may(out.index); err != nil {
			return nil, n.fault(file, "%v", err)
		}
		return out, nil
	case n.leaf != nil:
		text, err := appendValue(nil, &n.value.typ, n.value.value)
		return &boundNode{index: -1, text: text}, err
	}
	out := &boundNode{index: -2}
	if n.names != nil {
		out.names = []string{}
	}
	for i := range n.items {
		item, err := n.items[i].bind(file, c, may)
		if err != nil {
			return nil, err
		}
		out.items = append(out.items, *item)
		if n.names != nil {
			name, err := appendString(nil, []byte(n.names[i]))
			if err != nil {
				return nil, err
			}
			out.names = append(out.names, string(name)+":")
		}
	}
	return out, nil
}

func (n *node) fault(file, format string, args ...any) error {
	return &PlaceError{File: file, Line: n.leaf.Line, Column: n.leaf.Expression.Column, Shown: n.leaf.Text, Message: fmt.Sprintf(format, args...)}
}

// wholeRow is the default body: the row as an object, in the order of its columns.
func wholeRow(t *change.Table) *boundNode {
	out := &boundNode{index: -2, names: []string{}}
	for i := range t.Columns {
		name, err := appendString(nil, []byte(t.Columns[i].Name))
		if err != nil {
			continue // PostgreSQL's names are UTF-8 here: they came through Avro
		}
		out.names, out.items = append(out.names, string(name)+":"), append(out.items, boundNode{index: i})
	}
	return out
}

// render writes the body of a row; nil when there is none.
func (t *bodyTemplate) render(c *columns, row change.Row) ([]byte, error) {
	if t.root == nil {
		return nil, nil
	}
	return t.append(nil, t.root, c, row)
}

func (t *bodyTemplate) append(dst []byte, n *boundNode, c *columns, row change.Row) ([]byte, error) {
	switch {
	case n.index >= 0:
		return t.appendColumn(dst, n.index, c, row)
	case n.index == -1:
		return append(dst, n.text...), nil
	}
	open, end := byte('['), byte(']')
	if n.names != nil {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	first := true
	for i := range n.items {
		item := &n.items[i]
		if n.names != nil && t.partial && item.index >= 0 && !known(row[item.index]) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if n.names != nil {
			dst = append(dst, n.names[i]...)
		}
		var err error
		if dst, err = t.append(dst, item, c, row); err != nil {
			return dst, err
		}
	}
	return append(dst, end), nil
}

func (t *bodyTemplate) appendColumn(dst []byte, i int, c *columns, row change.Row) ([]byte, error) {
	if !known(row[i]) {
		return dst, fmt.Errorf("column %s has no value here, and the body needs it", c.all[i].Name)
	}
	out, err := appendValue(dst, &c.all[i].Type, row[i])
	if err != nil {
		return dst, fmt.Errorf("column %s (%s) cannot be written as JSON: %w", c.all[i].Name, strings.TrimSpace(c.all[i].Type.Name), err)
	}
	return out, nil
}
