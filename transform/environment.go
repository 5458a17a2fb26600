package transform

import (
	"slices"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"

	"github.com/sluicecdc/sluice/internal/change"
)

// costLimit bounds one evaluation, in CEL's units (about one for an operation and one for ten bytes of
// text looked at): 100 MB of text, far beyond any row, and below a second.
const costLimit = 10_000_000

// base is the language without any table: CEL's standard functions, its strings, numeric and when.
var base = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(append(numericFunctions(), whenFunction(), ext.Strings(), cel.ParserExpressionSizeLimit(10_000))...)
})

// environment declares the columns of a table as variables, under their own names.
func environment(t *change.Table) (*cel.Env, error) {
	env, err := base()
	if err != nil {
		return nil, err
	}
	var vars []cel.EnvOption
	for i, name := range variables(t) {
		if name != "" {
			vars = append(vars, cel.Variable(name, celType(&t.Columns[i].Type)))
		}
	}
	return env.Extend(vars...)
}

// variables gives for each column the name by which an expression knows it: its own. Where that is no
// identifier, other characters become _, a digit at the start gets one before it and a word of the
// language one behind it; a column whose name then is another's has none.
func variables(t *change.Table) []string {
	names := make([]string, len(t.Columns))
	for i := range t.Columns {
		if identifier(t.Columns[i].Name) {
			names[i] = t.Columns[i].Name
		}
	}
	for i := range t.Columns {
		if name := mangle(t.Columns[i].Name); names[i] == "" && !slices.Contains(names, name) {
			names[i] = name
		}
	}
	return names
}

func identifier(name string) bool { return mangle(name) == name }

func mangle(name string) string {
	out := []byte{}
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		digit := r >= '0' && r <= '9'
		if i == 0 && digit {
			out = append(out, '_')
		}
		if letter || digit {
			out = append(out, byte(r))
		} else {
			out = append(out, '_')
		}
	}
	if slices.Contains(words, string(out)) {
		out = append(out, '_')
	}
	return string(out)
}

// words are reserved by CEL (language definition, "Syntax").
var words = []string{
	"false", "in", "null", "true", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
	"loop", "package", "namespace", "return", "var", "void", "while",
}

// celType is what a column's values are in an expression. Types that CEL has no like of are texts, in
// PostgreSQL's own form; a numeric is exact.
func celType(t *change.Type) *cel.Type {
	switch t.Kind {
	case change.Bool:
		return cel.NullableType(cel.BoolType)
	case change.Int2, change.Int4, change.Int8, change.OID:
		return cel.NullableType(cel.IntType)
	case change.Float4, change.Float8:
		return cel.NullableType(cel.DoubleType)
	case change.Numeric:
		return numericType
	case change.Bytea:
		return cel.NullableType(cel.BytesType)
	case change.Date, change.Timestamp, change.TimestampTZ:
		return cel.TimestampType
	default:
		return cel.NullableType(cel.StringType)
	}
}
