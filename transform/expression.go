package transform

import (
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Expression is a CEL expression over the columns of a source table, as a configuration holds it.
type Expression struct {
	Text string
	// File, Line and Column say where its first character was written; Line is 0 when nobody knows.
	File         string
	Line, Column int
}

// UnmarshalYAML reads the text and checks what can be said without the table's columns: syntax,
// functions and the types of literals. Its error carries the place in the file.
func (e *Expression) UnmarshalYAML(n ast.Node) error {
	if err := e.read(n); err != nil {
		return err
	}
	return atToken(n, e.checkFilter())
}

// read takes the text and where it begins.
func (e *Expression) read(n ast.Node) error {
	text, ok := stringOf(n)
	if !ok || text == "" {
		return badNode(n, "want an expression over the columns of the source table, for example stage == 'won'")
	}
	at := n.GetToken()
	*e = Expression{Text: text}
	if at != nil && at.Position != nil {
		e.Line, e.Column = at.Position.Line, at.Position.Column+quotes(at)
	}
	return nil
}

// MarshalYAML gives the text.
func (e Expression) MarshalYAML() (any, error) { return e.Text, nil }

// quotes is by how much the text begins after its token.
func quotes(at *token.Token) int {
	if at.Type == token.SingleQuoteType || at.Type == token.DoubleQuoteType {
		return 1
	}
	return 0
}

func stringOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.BoolNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}

// atToken gives an error about an expression the form in which a reader of YAML shows it.
func atToken(n ast.Node, err *ExpressionError) error {
	if err == nil {
		return nil
	}
	at := *n.GetToken()
	if at.Position != nil && err.Line > 0 {
		at.Position = &token.Position{Line: err.Line, Column: err.Column, Offset: at.Position.Offset}
	}
	return &yaml.SyntaxError{Message: err.Message, Token: &at}
}

func badNode(n ast.Node, format string, args ...any) error {
	return &yaml.SyntaxError{Message: fmt.Sprintf(format, args...), Token: n.GetToken()}
}
