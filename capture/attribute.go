package capture

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

// attribute is a column in today's catalogue, a dropped one included.
type attribute struct {
	Number    int16   `json:"number"`
	Name      string  `json:"name"`
	Type      uint32  `json:"type"`
	Mod       int32   `json:"mod"`
	Dropped   bool    `json:"dropped"`
	Generated string  `json:"generated"` // "s" stored, "v" virtual; empty when it is neither
	Key       bool    `json:"key"`       // of the primary key
	Identity  bool    `json:"identity"`  // of the index that is the replica identity by name
	Filled    bool    `json:"filled"`    // with a default, a sequence or an expression where an insert gives no value
	Missing   *string `json:"missing"`   // what rows older than the column have
	Unlogged  bool    `json:"-" db:"-"`  // generated, and the log leaves its values out
}

// attributes reads all columns of a table in the order of their numbers; none when it is gone. The
// rows of a partitioned table are its leaves', and so is what they had before a column was added.
// attmissingval is an array of one, whose text is read back as one of text: types whose own delimiter
// is not the comma (box) are not quoted in it and lose the braces only.
func (c *catalogue) attributes(ctx context.Context, oid uint32) ([]attribute, error) {
	rows, err := c.source.ask.Query(ctx, attributeQuery+"$1"+attributeOrder, oid)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the columns of table %d: %w", oid, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[attribute])
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the columns of table %d: %w", oid, err)
	}
	return c.source.markUnlogged(all), nil
}

const (
	missingText = `CASE WHEN t.typdelim = ',' THEN (m.attmissingval::text::text[])[1] ELSE btrim(m.attmissingval::text, '{}') END`
	// attributeQuery is followed by the table's OID and attributeOrder.
	attributeQuery = `
		SELECT a.attnum AS number, a.attname AS name, a.atttypid AS type, a.atttypmod AS mod, a.attisdropped AS dropped, a.attgenerated::text AS generated,
			EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) AS key,
			EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisreplident AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) AS identity,
			a.atthasdef OR a.attidentity <> '' AS filled,
			CASE WHEN a.attisdropped THEN NULL ELSE (SELECT ` + missingText + `
				FROM (SELECT a.attrelid AS relid UNION SELECT relid FROM pg_partition_tree(a.attrelid)) p JOIN pg_attribute m ON m.attrelid = p.relid AND m.attname = a.attname
				JOIN pg_type t ON t.oid = m.atttypid
				WHERE m.atthasmissing LIMIT 1) END AS missing
		FROM pg_attribute a WHERE a.attnum > 0 AND a.attrelid = `
	attributeOrder = ` ORDER BY a.attnum`
)

// agreeing gives for each column of a message the attribute that it is, nil when today's catalogue
// describes another shape: a later statement has run already. Generated columns are in the message
// where the log has them.
func agreeing(columns []pgoutput.RelationColumn, all []attribute) []attribute {
	live := slices.DeleteFunc(slices.Clone(all), func(a attribute) bool { return a.Dropped || a.Unlogged })
	if slices.EqualFunc(columns, live, func(c pgoutput.RelationColumn, a attribute) bool {
		return c.Name == a.Name && c.Type == a.Type && c.Mod == a.Mod
	}) {
		return live
	}
	return nil
}

// number finds the numbers of a message's columns where today's catalogue has another shape, by the
// version before it and by what the catalogue still has under the same name. A column that the two say
// different things of, or neither, has the number 0, unless its neighbours leave one only: numbers rise
// from column to column and all that ever were are in the catalogue.
func number(columns []pgoutput.RelationColumn, before *version, all []attribute) []int16 {
	out := make([]int16, len(columns))
	if before != nil && slices.Equal(columns, before.Columns) {
		for i := range out {
			out[i] = before.logged()[i].Attnum
		}
		return out // the statement that made today's shape came later
	}
	for i, c := range columns {
		was, wasType := numberBefore(before, c)
		is, isType := numberNow(all, c)
		switch {
		case was == is || is == 0 || was != 0 && wasType && !isType:
			out[i] = was
		case was == 0 || isType && !wasType:
			out[i] = is
		}
	}
	dropOutOfOrder(out)
	fillBetween(out, all)
	return out
}

// numberBefore gives the number that a column's name had, 0 for none, and whether its type was the same.
func numberBefore(v *version, c pgoutput.RelationColumn) (number int16, typed bool) {
	if v == nil {
		return 0, false
	}
	for i, old := range v.Columns {
		if old.Name == c.Name {
			return v.logged()[i].Attnum, old.Type == c.Type && old.Mod == c.Mod
		}
	}
	return 0, false
}

// numberNow gives the number that a column's name has, likewise.
func numberNow(all []attribute, c pgoutput.RelationColumn) (number int16, typed bool) {
	for i := range all {
		if a := &all[i]; a.Name == c.Name && !a.Dropped && !a.Unlogged {
			return a.Number, a.Type == c.Type && a.Mod == c.Mod
		}
	}
	return 0, false
}

// dropOutOfOrder forgets numbers that cannot stand where they are: one of the two is wrong.
func dropOutOfOrder(numbers []int16) {
	wrong := make([]bool, len(numbers))
	for i, a := range numbers {
		for j, b := range numbers[i+1:] {
			if a != 0 && b != 0 && b <= a {
				wrong[i], wrong[i+1+j] = true, true
			}
		}
	}
	for i := range numbers {
		if wrong[i] {
			numbers[i] = 0
		}
	}
}

// fillBetween finds runs of unknown columns for which exactly as many numbers are left.
func fillBetween(numbers []int16, all []attribute) {
	last := int16(len(all))
	for i := 0; i < len(numbers); i++ {
		if numbers[i] != 0 {
			continue
		}
		low, high, end := int16(0), last+1, i
		if i > 0 {
			low = numbers[i-1]
		}
		for end < len(numbers) && numbers[end] == 0 {
			end++
		}
		if end < len(numbers) {
			high = numbers[end]
		}
		if i > 0 && low == 0 || int(high-low)-1 != end-i {
			i = end
			continue
		}
		for k := i; k < end; k++ {
			numbers[k] = low + int16(k-i) + 1
		}
		i = end
	}
}

// missing gives what rows older than a column have: from the catalogue, or from the version before.
func missing(attnum int16, before *version, all []attribute) *string {
	for i := range all {
		if all[i].Number == attnum && all[i].Missing != nil {
			return all[i].Missing
		}
	}
	if i := before.find(attnum); i >= 0 {
		return before.Table.Columns[i].Missing
	}
	return nil
}

// numbered gives a table's columns their numbers, and what older rows have in them. It tells whether
// today's catalogue has the message's shape.
func (c *catalogue) numbered(t *change.Table, columns []pgoutput.RelationColumn, before *version, all []attribute) bool {
	live := agreeing(columns, all)
	var numbers []int16
	if live == nil {
		numbers = number(columns, before, all)
	}
	for i := range t.Columns {
		col := &t.Columns[i]
		if live != nil {
			col.Attnum = live[i].Number
		} else {
			col.Attnum = numbers[i]
		}
		col.Missing = missing(col.Attnum, before, all)
	}
	return live != nil
}
