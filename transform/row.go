package transform

import (
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// Reset takes back the memory of every row given out.
func (m *Mapping) Reset() { m.free = m.slab }

// row maps a whole row.
func (m *Mapping) row(from change.Row, whole bool) (change.Row, error) {
	out := m.blank()
	for i := range m.cells {
		v, err := m.cells[i].value(from, m.from, whole)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// old maps an old row, as much of it as there is.
func (m *Mapping) old(from change.Row, kind change.BeforeKind) (change.Row, error) {
	if kind == change.BeforeFull {
		return m.row(from, true)
	}
	return m.Key(from), nil
}

// Key gives the new shape's row that holds the key of a row of the old shape, and nothing else.
func (m *Mapping) Key(from change.Row) change.Row {
	out := m.blank()
	for _, k := range m.to.Key {
		c := &m.cells[k]
		if c.plain {
			out[k] = from[c.source]
		} else {
			out[k] = c.constant
		}
	}
	return out
}

// fill gives row with what it does not hold taken from other, where that has it.
func (m *Mapping) fill(row, other change.Row) change.Row {
	if len(other) != len(row) || !slices.ContainsFunc(row, func(v change.Value) bool { return !known(v) }) {
		return row
	}
	out := slices.Clone(row)
	for i := range out {
		if !known(out[i]) && known(other[i]) {
			out[i] = other[i]
		}
	}
	return out
}

// blank gives an empty row of the new shape.
func (m *Mapping) blank() change.Row {
	n := len(m.cells)
	if len(m.free) < n {
		m.slab = make([]change.Value, max(n, min(2*len(m.slab), 1<<14), 64))
		m.free = m.slab
	}
	row := m.free[:n:n]
	m.free = m.free[n:]
	clear(row)
	return row
}

// Stored takes a row of the new shape, as a destination holds it, back to the old one: the values of
// columns that are mapped as they are.
func (m *Mapping) Stored(row change.Row) change.Row {
	out := make(change.Row, len(m.from.Columns))
	for i := range m.cells {
		if m.cells[i].plain && m.cells[i].mask == nil {
			out[m.cells[i].source] = row[i]
		}
	}
	return out
}
