package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/verify"
)

// A few rows are asked for by key, many by their ranges, more than are known by the table; the predicates stay few.
func TestPredicates(t *testing.T) {
	result := func(rows int) *verify.Result {
		r := &verify.Result{SourceKey: []string{"id", `o"dd`}, RangeKey: []string{`o"dd`, "id"}, Missing: int64(rows), Extra: 1}
		for i := range rows {
			r.Rows = append(r.Rows, verify.Row{Kind: verify.Missing, Source: []string{fmt.Sprint(i), `it's \`}, After: []string{"a", fmt.Sprint(i / 100)}})
		}
		r.Rows = append(r.Rows, verify.Row{Kind: verify.Extra})
		return r
	}
	if got, want := fmt.Sprint(predicatesOf(result(2))), `[("id", "o""dd") IN (('0', E'it''s \\'), ('1', E'it''s \\'))]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := predicatesOf(result(0)); len(got) != 0 {
		t.Errorf("nothing is missing: %v", got)
	}
	many := predicatesOf(result(5000))
	if len(many) > wishes || !strings.HasPrefix(many[0], `(true AND ("o""dd", "id") > ('a', '0')) OR (true AND`) || strings.Count(strings.Join(many, ""), "true") != 50 {
		t.Errorf("%d predicates: %.200s", len(many), many)
	}
	more := result(10)
	more.Missing = 1000
	if got := predicatesOf(more); len(got) != 1 || got[0] != "" {
		t.Errorf("more than are known: %v", got)
	}
}
