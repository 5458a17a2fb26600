package transform

import (
	"strings"

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

// SourceKind says what a column is filled with.
type SourceKind byte

// The kinds. A plain name, or one in double quotes, is a column; true, 7, 1.5 and null are constants;
// any other text is an expression ('crm' in single quotes within the text is a constant text).
const (
	SourceColumn SourceKind = iota
	SourceExpression
	SourceConstant
)

// Source is what a column is filled with. Text is as written.
type Source struct {
	Expression
	Kind SourceKind
	kind constantKind
}

type constantKind byte

const (
	constantText constantKind = iota
	constantBool
	constantInt
	constantNumber
	constantNull
)

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

// UnmarshalYAML tells column, expression and constant apart and checks an expression.
func (s *Source) UnmarshalYAML(n ast.Node) error {
	switch n.Type() {
	case ast.BoolType:
		*s = Source{Kind: SourceConstant, kind: constantBool, Expression: Expression{Text: n.GetToken().Value}}
	case ast.IntegerType:
		*s = Source{Kind: SourceConstant, kind: constantInt, Expression: Expression{Text: n.GetToken().Value}}
	case ast.FloatType:
		*s = Source{Kind: SourceConstant, kind: constantNumber, Expression: Expression{Text: n.GetToken().Value}}
	case ast.NullType:
		*s = Source{Kind: SourceConstant, kind: constantNull, Expression: Expression{Text: "null"}}
	default:
		return s.readText(n)
	}
	if at := n.GetToken(); at.Position != nil {
		s.Line, s.Expression.Column = at.Position.Line, at.Position.Column
	}
	return nil
}

func (s *Source) readText(n ast.Node) error {
	*s = Source{}
	if err := s.read(n); err != nil {
		return badNode(n, "want a source column, an expression or a constant")
	}
	if s.isName() {
		return nil
	}
	s.Kind = SourceExpression
	return atToken(n, s.checkValue())
}

// MarshalYAML gives the text as it was written: 1.10 stays 1.10.
func (s Source) MarshalYAML() ([]byte, error) {
	if s.Kind == SourceConstant {
		return []byte(s.Text), nil
	}
	return yaml.Marshal(s.Text)
}

// isName tells a column's name from an expression: a plain one, or one in double quotes as in SQL.
func (s *Source) isName() bool {
	inner, ok := strings.CutPrefix(s.Text, `"`)
	if ok && strings.HasSuffix(inner, `"`) && !strings.Contains(strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, ""), `"`) {
		return true
	}
	for i, r := range s.Text {
		digit := r >= '0' && r <= '9' || r == '$'
		if r != '_' && r < 0x80 && !(r|0x20 >= 'a' && r|0x20 <= 'z') && (i == 0 || !digit) {
			return false
		}
	}
	return s.Text != ""
}

// Column is the name of the source column that is meant.
func (s *Source) Column() string {
	if inner, ok := strings.CutPrefix(s.Text, `"`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
	}
	return s.Text
}

// Constant is the value of a constant.
func (s *Source) Constant() change.Value {
	switch s.kind {
	case constantNull:
		return change.Value{Format: change.Null}
	case constantBool:
		return text(strings.ToLower(s.Text[:1]))
	}
	return text(s.Text)
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

func (s *Source) constantType() change.Type {
	switch s.kind {
	case constantBool:
		return results[0].column
	case constantInt:
		return results[1].column
	case constantNumber:
		return results[3].column
	}
	return textType
}
