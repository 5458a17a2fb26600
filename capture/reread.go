package capture

import (
	"fmt"
	"strings"
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
		if reason := c.reason(old[col.Number], col); reason != "" && c.published(col.Name) {
			why = append(why, fmt.Sprintf("column %s: %s", col.Name, reason))
		}
	}
	return why
}

func (c *comparison) published(name string) bool {
	for i := range c.after.Table.Columns {
		if c.after.Table.Columns[i].Name == name {
			return true
		}
	}
	return false
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
	case was.Generated && !is.Generated:
		return "it was computed and not in the log, the rows that are there keep their values"
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
