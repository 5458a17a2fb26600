package sink

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/transform"
)

// DeletePolicy says what a DELETE at the source does at the destination. There is no default: the
// owner of the destination decides.
type DeletePolicy string

// The policies for a DELETE.
const (
	DeleteHard    DeletePolicy = "hard"    // the row is deleted
	DeleteIgnore  DeletePolicy = "ignore"  // the row stays as it is
	DeleteSoft    DeletePolicy = "soft"    // the row stays, Set is written into it
	DeleteArchive DeletePolicy = "archive" // the row moves to another table, with time and position
)

const deleteChoices = "hard (the row is deleted), ignore (the row stays), {soft: {column: value}} (the row stays and is marked) or {archive: schema.table} (the row moves there)"

// Deletes is a table's key "deletes": hard, ignore, {soft: {column: value, ...}} or
// {archive: schema.table}.
type Deletes struct {
	Policy DeletePolicy
	// Set is what a soft delete writes, in the file's order.
	Set []Assignment
	// Archive is the table that DeleteArchive moves rows to, as in SQL.
	Archive string
}

// Assignment gives a destination column a constant.
type Assignment struct {
	Column string
	// Value is written as the text of a literal of the column's type (true, 42, now); nil is NULL.
	Value *string
}

// UnmarshalYAML reads the three forms. Its errors carry their place in the file.
func (d *Deletes) UnmarshalYAML(n ast.Node) error {
	switch n := n.(type) {
	case *ast.StringNode:
		return d.setWord(n)
	case *ast.MappingNode:
		return d.setMapping(n, n.Values)
	case *ast.MappingValueNode:
		return d.setMapping(n, []*ast.MappingValueNode{n})
	default:
		return badNode(n, "deletes is "+deleteChoices)
	}
}

func (d *Deletes) setWord(n *ast.StringNode) error {
	switch p := DeletePolicy(n.Value); p {
	case DeleteHard, DeleteIgnore:
		*d = Deletes{Policy: p}
		return nil
	case DeleteSoft:
		return badNode(n, "soft needs the columns to write, for example {soft: {active: false}}")
	case DeleteArchive:
		return badNode(n, "archive needs the table to move rows to, for example {archive: history.customers}")
	default:
		return badNode(n, fmt.Sprintf("deletes is %s, not %q", deleteChoices, n.Value))
	}
}

func (d *Deletes) setMapping(n ast.Node, values []*ast.MappingValueNode) error {
	if len(values) == 1 && keyText(values[0]) == string(DeleteArchive) {
		return d.setArchive(values[0].Value)
	}
	if len(values) != 1 || keyText(values[0]) != string(DeleteSoft) {
		return badNode(n, "deletes is "+deleteChoices)
	}
	columns, err := mapping(values[0].Value)
	if err != nil {
		return err
	}
	*d = Deletes{Policy: DeleteSoft}
	for _, v := range columns {
		text, err := scalarText(v.Value)
		if err != nil {
			return err
		}
		d.Set = append(d.Set, Assignment{Column: keyText(v), Value: text})
	}
	return nil
}

func (d *Deletes) setArchive(n ast.Node) error {
	name, ok := n.(*ast.StringNode)
	if !ok {
		return badNode(n, "archive needs the table to move rows to, for example {archive: history.customers}")
	}
	*d = Deletes{Policy: DeleteArchive, Archive: name.Value}
	return nil
}

func mapping(n ast.Node) ([]*ast.MappingValueNode, error) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, nil
	default:
		return nil, badNode(n, "soft needs the columns to write, for example {soft: {active: false}}")
	}
}

// scalarText keeps a number as it is written: 1.10 must not become 1.1 in a text column.
func scalarText(n ast.Node) (*string, error) {
	switch n := n.(type) {
	case *ast.NullNode:
		return nil, nil
	case *ast.StringNode:
		return &n.Value, nil
	case *ast.LiteralNode:
		return &n.Value.Value, nil
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		text := n.GetToken().Value
		return &text, nil
	default:
		return nil, badNode(n, "a soft delete writes constants: text, a number, true, false or null")
	}
}

func keyText(v *ast.MappingValueNode) string {
	if s, ok := v.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return v.Key.GetToken().Value
}

func badNode(n ast.Node, message string) error {
	return &yaml.SyntaxError{Message: message, Token: n.GetToken()}
}

// MarshalYAML writes the form that UnmarshalYAML reads.
func (d Deletes) MarshalYAML() (any, error) {
	switch d.Policy {
	case DeleteArchive:
		return map[string]string{string(DeleteArchive): d.Archive}, nil
	case DeleteHard, DeleteIgnore:
		return string(d.Policy), nil
	}
	set := yaml.MapSlice{}
	for _, a := range d.Set {
		item := yaml.MapItem{Key: a.Column}
		if a.Value != nil {
			item.Value = *a.Value
		}
		set = append(set, item)
	}
	return yaml.MapSlice{{Key: string(DeleteSoft), Value: set}}, nil
}

func (d *Deletes) validate(path string, columns transform.Columns) error {
	switch d.Policy {
	case DeleteHard, DeleteIgnore:
		return nil
	case DeleteSoft:
		return d.validateSet(path+".soft", columns)
	case DeleteArchive:
		if _, _, err := change.ParseName(d.Archive); err != nil {
			return fmt.Errorf("%s.archive: %w", path, err)
		}
		return nil
	case "":
		return fmt.Errorf("%s: missing: what a DELETE at the source does here has no default: write %s", path, deleteChoices)
	default:
		return fmt.Errorf("%s: %q is not %s", path, d.Policy, deleteChoices)
	}
}

func (d *Deletes) validateSet(path string, columns transform.Columns) error {
	if len(d.Set) == 0 {
		return fmt.Errorf("%s: missing: the columns to write, for example {active: false}", path)
	}
	for i, a := range d.Set {
		if a.Column == "" || strings.ContainsRune(a.Column, 0) {
			return fmt.Errorf("%s: a column without a name", path)
		}
		if slices.Contains(columns.Names(), a.Column) {
			return fmt.Errorf("%s.%s: the column is written by columns.%s too: a later change would undo the mark", path, a.Column, a.Column)
		}
		same := func(b Assignment) bool { return b.Column == a.Column }
		if slices.ContainsFunc(d.Set[:i], same) {
			return fmt.Errorf("%s.%s: named twice", path, a.Column)
		}
	}
	return nil
}
