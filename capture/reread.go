package capture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// comparison is a table before and after a statement.
type comparison struct {
	before, after *TableState
	rewritten     bool // PostgreSQL computed values anew
	using         bool // by an expression of the statement's
}

// reread says which columns hold values afterwards that were never in the log.
func (c *comparison) reread() []string {
	old := map[int]*CatalogueColumn{}
	for i := range c.before.Columns {
		old[c.before.Columns[i].Number] = &c.before.Columns[i]
	}
	var why []string
	for i := range c.after.Columns {
		col := &c.after.Columns[i]
		if reason := c.reason(old[col.Number], col); reason != "" && published(c.after, col.Name) {
			why = append(why, fmt.Sprintf("column %s: %s", col.Name, reason))
		}
	}
	return why
}

func published(s *TableState, name string) bool {
	return slices.ContainsFunc(s.Table.Columns, func(c change.Column) bool { return c.Name == name })
}

// renamed tells whether a column has another name afterwards, and so in expressions.
func (c *comparison) renamed() bool {
	return slices.ContainsFunc(c.before.Columns, func(was CatalogueColumn) bool {
		return slices.ContainsFunc(c.after.Columns, func(is CatalogueColumn) bool { return is.Number == was.Number && is.Name != was.Name })
	})
}

func (c *comparison) reason(was, is *CatalogueColumn) string {
	switch {
	case was == nil && is.Generated:
		return "it is computed for the rows that are there"
	case was == nil && is.Filled:
		return "the rows that are there get the default " + is.Default + ", and nothing of it is in the log"
	case was == nil && is.Default != "":
		return "the rows that are there get each a value of their own by " + is.Default + ", and nothing of it is in the log"
	case was == nil:
		return ""
	case was.Generated && !is.Generated && !published(c.before, was.Name):
		return "it was computed and in no record, the rows that are there keep their values"
	case was.Generated && is.Generated && was.Default != is.Default && !c.renamed():
		return "it is computed anew for the rows that are there"
	case was.Type == is.Type || !c.rewritten:
		return ""
	case !c.using && widens(was.Type, is.Type):
		return ""
	}
	return "the values of the rows that are there are computed anew, from " + was.Type + " to " + is.Type + ", and the log does not hold them"
}

// widens tells whether every value keeps its text: integers of more bytes, numeric after them, and
// text of another length, since values that are too long are refused.
func widens(from, to string) bool {
	if isText(from) && isText(to) {
		return true
	}
	order := map[string]int{"smallint": 1, "integer": 2, "bigint": 3, "numeric": 4}
	a, b := order[from], order[to]
	return a > 0 && a < b
}

func isText(t string) bool { return t == "text" || strings.HasPrefix(t, "character varying") }
