package transform

import (
	"github.com/sluicecdc/sluice/internal/change"
)

// cell is one column of the new shape and where its values come from. Exactly one of plain, program and
// constant is set.
type cell struct {
	column   change.Column
	plain    bool
	source   int                   // the column of the old shape; -1 when it is not one
	mask     func(v []byte) string // hides a plain value; nil leaves it
	program  *program
	constant change.Value
}

// holds tells whether the cell is the old shape's column, unmasked.
func (c *cell) holds(column int) bool { return c.plain && c.mask == nil && c.source == column }

// fixed tells whether the value does not depend on the row.
func (c *cell) fixed() bool { return c.constant.Format != change.Absent }

// value gives the cell's value of a row. whole says that the key of the row is the one under which its
// other values were sent before, so that a value made of unchanged ones only is unchanged too.
func (c *cell) value(row change.Row, t *change.Table, whole bool) (change.Value, error) {
	switch {
	case c.fixed():
		return c.constant, nil
	case c.program != nil:
		return c.program.value(row, t, whole)
	}
	v := row[c.source]
	if c.mask == nil || v.Format != change.Text {
		return v, nil
	}
	return text(c.mask(v.Data)), nil
}
