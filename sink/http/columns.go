package http

import (
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// columns are those that calls of one version of a table can name: the table's, then those that a soft delete sets
// and the table does not have.
type columns struct {
	table string // for people
	all   []change.Column
	key   []int
	// set holds the values of a soft delete, at the same index; Absent for the others.
	set change.Row
}

func newColumns(t *change.Table, policy *sink.Deletes) *columns {
	c := &columns{table: t.QualifiedName(), all: slices.Clone(t.Columns), key: t.Key}
	c.set = make(change.Row, len(c.all))
	for _, a := range policy.Set {
		i := c.find(a.Column)
		if i < 0 {
			i = len(c.all)
			c.all = append(c.all, change.Column{Name: a.Column, Type: literalType(a.Value)})
			c.set = append(c.set, change.Value{})
		}
		c.set[i] = change.Value{Format: change.Null}
		if a.Value != nil {
			c.set[i] = change.Value{Format: change.Text, Data: []byte(*a.Value)}
		}
	}
	return c
}

// literalType is what a constant of the configuration looks like, where no column says so.
func literalType(text *string) change.Type {
	switch {
	case text == nil:
	case *text == "true" || *text == "false":
		return change.Type{Kind: change.Bool, Mod: -1, Name: "boolean"}
	case isNumber([]byte(*text)):
		return change.Type{Kind: change.Numeric, Mod: -1, Name: "numeric"}
	}
	return change.Type{Kind: change.TextLike, Mod: -1, Name: "text"}
}

func (c *columns) find(name string) int {
	return slices.IndexFunc(c.all, func(col change.Column) bool { return col.Name == name })
}

func (c *columns) isKey(i int) bool { return slices.Contains(c.key, i) }

func (c *columns) names() string { return c.list(func(int) bool { return true }) }

func (c *columns) keyNames() string { return c.list(c.isKey) }

func (c *columns) list(which func(i int) bool) string {
	var names []string
	for i := range c.all {
		if which(i) {
			names = append(names, c.all[i].Name)
		}
	}
	return strings.Join(names, ", ")
}

// marks gives the row of a soft delete: the key of id, and what is set.
func (c *columns) marks(id change.Row) change.Row {
	row := slices.Clone(c.set)
	for _, k := range c.key {
		row[k] = id[k]
	}
	return row
}

// known tells whether a value is in the row, NULL included.
func known(v change.Value) bool { return v.Format == change.Null || v.Format == change.Text }
