// Package snapshot reads the rows of tables, a range of keys at a time: each range in one short transaction
// whose snapshot is known, so that what was read can be put in its place in the stream. What enters are
// connections and tables; what leaves are ranges, and rows as changes with op Read. A chunk is held in
// memory as PostgreSQL sent it; a table that cannot be cut is streamed.
package snapshot

import (
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// Table is one table to read.
type Table struct {
	*change.Table
	// Only leaves out tables that inherit from it. It is not set for a partitioned table, whose
	// partitions are its rows.
	Only bool
	// Where is an SQL predicate that rows must fulfil; empty for all.
	Where string
}

// What keeps a table from being read for now, or in this way.
var (
	// ErrChanged says that the table has another shape than the one that was asked for, or was emptied or
	// rewritten after its snapshot was taken.
	ErrChanged = errors.New("the table has changed")
	// ErrGone says that there is no table of that name any more.
	ErrGone = errors.New("the table is gone, or has another name")
	// ErrTooLarge says that a range holds more than a chunk may.
	ErrTooLarge = errors.New("the range holds more than a chunk")
)

// from gives the table in a FROM clause.
func (t Table) from() string {
	name := pgx.Identifier{t.Schema, t.Name}.Sanitize()
	if t.Only {
		return "ONLY " + name
	}
	return name
}

// copySQL reads each column in binary, or where its binary form is not known by the type's output
// function, as the log does: a cast to text may be another function. IS NULL holds for a row of NULLs
// too, which is a value.
func (t Table) copySQL(conditions ...string) string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = quote(c.Name)
		if !avro.Binary(c.Type) {
			columns[i] = "CASE num_nulls(" + columns[i] + ") WHEN 0 THEN format('%s', " + columns[i] + ") END"
		}
	}
	sql := "COPY (SELECT " + strings.Join(columns, ", ") + " FROM " + t.from()
	if len(conditions) > 0 {
		sql += " WHERE " + strings.Join(conditions, " AND ")
	}
	return sql + ") TO STDOUT (FORMAT binary)"
}

// keyColumns gives the key's columns, quoted.
func (t Table) keyColumns() string {
	names := make([]string, len(t.Key))
	for n, i := range t.Key {
		names[n] = quote(t.Columns[i].Name)
	}
	return strings.Join(names, ", ")
}

// keyTexts gives their values as text, by names that are no column's: ORDER BY would take the text.
func (t Table) keyTexts() string {
	texts := make([]string, len(t.Key))
	for n, i := range t.Key {
		texts[n] = quote(t.Columns[i].Name) + "::text AS " + quote("sluice text of "+strconv.Itoa(n))
	}
	return strings.Join(texts, ", ")
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal writes a string constant, whatever standard_conforming_strings is.
func literal(s string) string {
	quoted := strings.ReplaceAll(s, "'", "''")
	if strings.Contains(s, `\`) {
		return ` E'` + strings.ReplaceAll(quoted, `\`, `\\`) + `'`
	}
	return "'" + quoted + "'"
}
