package capture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// comparison is a table before and after a statement.
type comparison struct {
	present       *TableState // before the first statement; nil when there was no such table
	before, after *TableState
	rewritten     bool            // PostgreSQL computed values anew
	computed      map[string]bool // columns with an expression of the statement's, by their names before
	constant      map[string]bool // new columns whose default is the same for every row
	trigger       bool            // each statement is described in the log (source.ddl)
}

// reread says which columns hold values afterwards that no record says.
func (c *comparison) reread() []string {
	var why []string
	for i := range c.after.Columns {
		col := &c.after.Columns[i]
		if reason := c.reason(c.old(col), col); reason != "" && c.after.publishes(col.Name) {
			why = append(why, fmt.Sprintf("column %s: %s", col.Name, reason))
		}
	}
	return why
}

// untold gives the numbers of columns of which sinks are told that rows older than the statement may have
// values that no record says.
func (c *comparison) untold() (numbers []int) {
	for i := range c.after.Columns {
		col := &c.after.Columns[i]
		was := c.old(col)
		if c.after.publishes(col.Name) && c.reason(was, col) != "" && (was == nil || c.forgets(was, col) || c.trigger && c.computed[was.Name]) {
			numbers = append(numbers, col.Number)
		}
	}
	return numbers
}

// forgotten tells of columns whose older rows have a value that a rewrite takes out of the catalogue.
func (c *comparison) forgotten() []string {
	var notes []string
	for i := range c.after.Columns {
		col := &c.after.Columns[i]
		if was := c.old(col); c.forgets(was, col) && c.present.numbers(col.Number) && c.after.publishes(col.Name) {
			notes = append(notes, "column "+col.Name+": rows that are older than it have the default that it was added with, which the rewrite writes into them: "+
				"capture must have read a change of the table since the column was added, or those rows must be read again")
		}
	}
	return notes
}

// forgets tells of a column whose default for older rows leaves the catalogue before capture is sure to
// have seen it there.
func (c *comparison) forgets(was, is *CatalogueColumn) bool {
	return !c.trigger && was != nil && was.Filled && !is.Filled
}

// numbers tells whether there is a column of a number.
func (t *TableState) numbers(n int) bool {
	return t != nil && slices.ContainsFunc(t.Columns, func(c CatalogueColumn) bool { return c.Number == n })
}

// old gives the column as it was; nil for a new one.
func (c *comparison) old(col *CatalogueColumn) *CatalogueColumn {
	for i := range c.before.Columns {
		if c.before.Columns[i].Number == col.Number {
			return &c.before.Columns[i]
		}
	}
	return nil
}

// publishes tells whether a column is in records.
func (t *TableState) publishes(name string) bool {
	return slices.ContainsFunc(t.Table.Columns, func(c change.Column) bool { return c.Name == name })
}

func (c *comparison) reason(was, is *CatalogueColumn) string {
	switch {
	case was == nil:
		return c.added(is)
	case !c.before.publishes(was.Name):
		return "it was computed and in no record, the rows that are there keep their values"
	case was.Generated && is.Generated && was.Default != is.Default && !c.renames():
		return "the values of the rows that are there are computed anew by " + is.Default + ", and the log does not hold them"
	case c.forgets(was, is) && !c.present.numbers(is.Number):
		return "the rows that are there have the default that it was just added with, and the statement writes the table anew before capture has read a change of it: neither log nor catalogue says so"
	case c.computed[was.Name] && (c.rewritten || was.Type != is.Type):
		return "the values of the rows that are there are computed anew by the expression after USING, and the log does not hold them"
	case was.Type == is.Type || !c.rewritten && !silent(was.Type, is.Type) || widens(was.Type, is.Type):
		return ""
	}
	return "the values of the rows that are there are computed anew, from " + was.Type + " to " + is.Type + ", and the log does not hold them"
}

// renames tells whether a column has another name afterwards, and so in the expressions of others.
func (c *comparison) renames() bool {
	return slices.ContainsFunc(c.after.Columns, func(is CatalogueColumn) bool {
		was := c.old(&is)
		return was != nil && was.Name != is.Name
	})
}

// added says what the rows that are there have in a new column. A constant default stands in the schema,
// unless the table was written anew.
func (c *comparison) added(is *CatalogueColumn) string {
	switch {
	case is.Generated:
		return "it is computed for the rows that are there"
	case is.Default == "" || is.Filled:
		return ""
	case c.constant[is.Name]:
		return "the rows that are there get the default " + is.Default + ", and as the statement writes the table anew, neither log nor catalogue says so; add the column in a statement of its own, and let capture read a change of the table in between"
	}
	return "the rows that are there get each a value of their own by " + is.Default + ", and nothing of it is in the log"
}

// silent tells of types between which PostgreSQL goes without writing rows anew although their text
// changes: with and without a time zone when the session's is UTC, and single addresses.
func silent(from, to string) bool {
	return strings.HasPrefix(from, "timestamp") && strings.HasPrefix(to, "timestamp") && strings.HasSuffix(from, "with time zone") != strings.HasSuffix(to, "with time zone") ||
		from == "cidr" && to == "inet"
}

// widens tells whether every value keeps its text: integers of more bytes, numeric after them, these and
// some others as text, and text of another length, since values that are too long are refused.
func widens(from, to string) bool {
	if isText(to) && (isText(from) || slices.Contains(asText, from) || strings.HasPrefix(from, "numeric")) {
		return true
	}
	order := map[string]int{"smallint": 1, "integer": 2, "bigint": 3, "numeric": 4}
	a, b := order[from], order[to]
	return a > 0 && a < b
}

// asText are types whose cast to text gives what the log has for them.
var asText = []string{"smallint", "integer", "bigint", "oid", "uuid", "name", "citext", "json", "jsonb", "xml"}

func isText(t string) bool { return t == "text" || strings.HasPrefix(t, "character varying") }
