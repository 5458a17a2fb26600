package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Reading is a CEL expression over an answer, as Accept, that gives a value. Numbers of the body are int, or double where that
// holds all their digits, else their text.
type Reading struct {
	Text    string
	program cel.Program
}

// UnmarshalYAML compiles the expression. Its error carries the place in the file.
func (r *Reading) UnmarshalYAML(n ast.Node) error {
	s, ok := n.(*ast.StringNode)
	if !ok {
		return &yaml.SyntaxError{Message: "want an expression over body and status, for example body.full_name", Token: n.GetToken()}
	}
	out, err := newReading(s.Value)
	if err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: n.GetToken()}
	}
	*r = out
	return nil
}

func newReading(text string) (Reading, error) {
	env, err := acceptEnv()
	if err != nil {
		return Reading{}, err
	}
	compiled, issues := env.Compile(text)
	if issues.Err() != nil {
		return Reading{}, fmt.Errorf("expression cannot be read: %s", issues.Errors()[0].Message)
	}
	p, err := env.Program(compiled, cel.CostLimit(acceptCost))
	return Reading{text, p}, err
}

// MarshalYAML gives the text.
func (r Reading) MarshalYAML() (any, error) { return r.Text, nil }

// value gives what the expression makes of an answer: nil also where the answer does not have what it names.
func (r *Reading) value(status int, body any) any {
	out, _, err := r.program.Eval(map[string]any{"status": status, "body": body})
	if err != nil {
		return nil
	}
	return plainValue(out)
}

// plainValue gives what JSON would: nil, bool, json.Number, string, []any or map[string]any.
func plainValue(v ref.Val) any {
	switch v := v.(type) {
	case types.Null:
		return nil
	case types.Bool:
		return bool(v)
	case types.String:
		return string(v)
	case types.Int:
		return json.Number(strconv.FormatInt(int64(v), 10))
	case types.Uint:
		return json.Number(strconv.FormatUint(uint64(v), 10))
	case types.Double:
		return number(float64(v))
	case types.Timestamp:
		return v.Format(time.RFC3339Nano)
	case traits.Mapper:
		object := map[string]any{}
		for keys := v.Iterator(); keys.HasNext() == types.True; {
			key := keys.Next()
			object[fmt.Sprint(key.Value())] = plainValue(v.Get(key))
		}
		return object
	case traits.Lister:
		list := []any{}
		for items := v.Iterator(); items.HasNext() == types.True; {
			list = append(list, plainValue(items.Next()))
		}
		return list
	}
	return fmt.Sprint(v.Value())
}

// readAnswer reads a body for expressions: nil for an empty one.
func readAnswer(body []byte) (any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	v, err := decode(body)
	if err != nil {
		return nil, errors.New("the answer is not JSON, and lookup has to read it")
	}
	return exact(v), nil
}

// decode reads JSON with the digits of its numbers.
func decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// exact turns numbers into what expressions can reckon with, as far as no digit is lost.
func exact(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil && sameNumber(string(v), string(number(f).(json.Number))) {
			return f
		}
		return string(v)
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = exact(v[name])
		}
	}
	return v
}

// number takes exact back, at the top and below.
func number(v any) any {
	switch v := v.(type) {
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	case float64:
		return json.Number(strconv.FormatFloat(v, 'g', -1, 64))
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = number(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name := range v {
			out[name] = number(v[name])
		}
		return out
	}
	return v
}
