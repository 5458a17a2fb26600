package transform

import (
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

// FuzzExpression holds expressions to the promise that any text is compiled or refused, and that what is
// compiled gives a value or an error for any row.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{
		"name == 'won' && n > 10.5", "when(ok, n * 3)", "name.split('o')[1]", "numeric('1e9') + n", "[1, 2].exists(x, x == id)", "string(at) + type",
		"n\n>\n0.12345678901234567", "\"\\x00\"", "((((((1))))))", "name.format([n])", "bytes(name) == raw", "-n", "at - at", "double(n)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := Expression{Text: text, Line: 1, Column: 1}
		if err := e.checkValue(); err != nil {
			_ = err.Error()
		}
		p, err := compileValue(e, odd)
		if err != nil {
			_ = err.Error()
			return
		}
		for _, row := range []change.Row{usual, nulls, edges} {
			_, _ = p.value(row, odd, true) // an error is an answer
		}
	})
}
