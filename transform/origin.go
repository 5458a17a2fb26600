package transform

import "github.com/sluicecdc/sluice/internal/change"

// Origin says where the values of a column of the new shape come from. A column that is computed or masked
// has neither.
type Origin struct {
	// Column is the old shape's column whose values are taken as they are; -1 when there is none.
	Column int
	// Constant is the value of all rows; Absent when it depends on the row.
	Constant change.Value
}

// Origin gives that of column i of Table.
func (m *Mapping) Origin(i int) Origin {
	c := &m.cells[i]
	if c.plain && c.mask == nil {
		return Origin{Column: c.source}
	}
	return Origin{Column: -1, Constant: c.constant}
}
