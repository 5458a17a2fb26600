package transform

import (
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/sluicecdc/sluice/internal/change"
)

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
