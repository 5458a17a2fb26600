package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Accept is a CEL expression over an answer: status is its number, body its JSON (null when it is empty). It must be
// true for the call to count as done.
type Accept struct {
	Text    string
	program cel.Program
}

// acceptCost bounds one evaluation, in CEL's units: a body is 1 MiB at most, and looked at once or twice.
const acceptCost = 10_000_000

var acceptEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(cel.Variable("status", cel.IntType), cel.Variable("body", cel.DynType))
})

// UnmarshalYAML compiles the expression. Its error carries the place in the file.
func (a *Accept) UnmarshalYAML(n ast.Node) error {
	s, ok := n.(*ast.StringNode)
	if !ok {
		return &yaml.SyntaxError{Message: "want an expression over status and body, for example body.result == 'ok'", Token: n.GetToken()}
	}
	out, err := NewAccept(s.Value)
	if err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: n.GetToken()}
	}
	*a = out
	return nil
}

// NewAccept compiles an expression.
func NewAccept(text string) (Accept, error) {
	env, err := acceptEnv()
	if err != nil {
		return Accept{}, err
	}
	compiled, issues := env.Compile(text)
	if issues.Err() != nil {
		return Accept{}, fmt.Errorf("expression cannot be read: %s", issues.Errors()[0].Message)
	}
	if t := compiled.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return Accept{}, fmt.Errorf("expression gives %s: want true or false", t)
	}
	p, err := env.Program(compiled, cel.CostLimit(acceptCost))
	return Accept{text, p}, err
}

// MarshalYAML gives the text.
func (a Accept) MarshalYAML() (any, error) { return a.Text, nil }

// errNoJSON says that an answer could not be judged: it may be one of something in between.
var errNoJSON = errors.New("the answer is not JSON, and accept has to look at it")

// holds judges an answer.
func (a *Accept) holds(status int, body []byte) (bool, error) {
	var value any
	if len(bytes.TrimSpace(body)) > 0 {
		if err := json.Unmarshal(body, &value); err != nil {
			return false, errNoJSON
		}
	}
	out, _, err := a.program.Eval(map[string]any{"status": status, "body": value})
	if err != nil {
		return false, fmt.Errorf("accept (%s) cannot be answered: %w", a.Text, err)
	}
	ok, isBool := out.Value().(bool)
	return ok && isBool, nil
}
