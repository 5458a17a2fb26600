package transform

import (
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// MayLack names the columns whose values a change may lack where the mapping needs them: an update that
// leaves a TOASTed value alone does not hold it, unless the table has REPLICA IDENTITY FULL. Expressions
// need what they look at, and a row that starts to match needs all of it.
func (m *Mapping) MayLack() []string {
	if m.from.Identity == change.IdentityFull {
		return nil
	}
	var needed []int
	if m.filter != nil {
		needed = append(needed, m.filter.inputs...)
	}
	for i := range m.cells {
		switch c := &m.cells[i]; {
		case c.program != nil && len(c.program.inputs) > 1:
			needed = append(needed, c.program.inputs...)
		case c.program == nil && !c.fixed() && m.filter != nil && !m.FiltersByKey():
			needed = append(needed, c.source)
		}
	}
	slices.Sort(needed)
	var names []string
	for _, i := range slices.Compact(needed) {
		if !m.from.IsKey(i) && outOfLine(m.from.Columns[i].Type.Kind) {
			names = append(names, m.from.Columns[i].Name)
		}
	}
	return names
}

// outOfLine tells types whose values are stored outside of the row from about 2 kB on (PostgreSQL
// manual, 73.2 TOAST).
func outOfLine(k change.Kind) bool {
	switch k {
	case change.TextLike, change.Bytea, change.Bit, change.JSON, change.JSONB, change.XML, change.Array, change.Opaque:
		return true
	}
	return false
}
