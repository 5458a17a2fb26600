package transform

import (
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/sluicecdc/sluice/internal/change"
)

// Columns is the key "columns" of a sink's table, in the file's order: destination column to source
// column, expression or constant.
type Columns []Column

// Column is one of them.
type Column struct {
	Name string // at the destination
	From Source
}

// UnmarshalYAML reads a mapping.
func (c *Columns) UnmarshalYAML(n ast.Node) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		return badNode(n, "want destination column: source column, for example {id: id, name: full_name}")
	}
	*c = nil
	for pairs := m.MapRange(); pairs.Next(); {
		name := pairs.Key().GetToken().Value
		if name == "" {
			return badNode(pairs.Key(), "an empty name: want destination column: source column")
		}
		for _, other := range *c {
			if other.Name == name {
				return badNode(pairs.Key(), "%s is written twice", name)
			}
		}
		one := Column{Name: name}
		if err := one.From.UnmarshalYAML(pairs.Value()); err != nil {
			return err
		}
		*c = append(*c, one)
	}
	return nil
}

// MarshalYAML gives the form that UnmarshalYAML reads.
func (c Columns) MarshalYAML() (any, error) {
	out := yaml.MapSlice{}
	for _, one := range c {
		out = append(out, yaml.MapItem{Key: one.Name, Value: one.From})
	}
	return out, nil
}

// Plain makes columns of names, for callers that have no file.
func Plain(pairs ...string) Columns {
	var out Columns
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, Column{Name: pairs[i], From: Source{Expression: Expression{Text: pairs[i+1]}}})
	}
	return out
}

// Names lists the destination columns.
func (c Columns) Names() []string {
	var out []string
	for _, one := range c {
		out = append(out, one.Name)
	}
	return out
}

// Place points at what a column is filled with; nil when Columns do not list it.
func (c Columns) Place(name string) *ExpressionError {
	for i := range c {
		if c[i].Name == name {
			return c[i].From.fault(1, 0, "fills column %s", name)
		}
	}
	return nil
}

// Sources gives for each column the source column that it holds, or what else it is filled with as it is
// written; nil for none.
func (c Columns) Sources() map[string]string {
	if len(c) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, one := range c {
		out[one.Name] = one.From.Text
		if one.From.Kind == SourceColumn {
			out[one.Name] = one.From.Column()
		}
	}
	return out
}

// Constants gives the columns whose values do not depend on the row.
func (c Columns) Constants() map[string]change.Value {
	out := map[string]change.Value{}
	for _, one := range c {
		if one.From.Kind == SourceColumn {
			continue
		}
		if cell, err := projectOne(&change.Table{}, one); err == nil && cell.fixed() {
			out[one.Name] = cell.constant
		}
	}
	return out
}
