// Package transform turns changes of a table into changes of another shape, or into nothing: filter,
// mask, drop, rename, project and compute, by expressions in CEL that are compiled once for each
// version of the table. The same serves both sides of Kafka: what must never leave the source, and
// what a destination wants. What enters are changes whose values are texts; it does no I/O.
//
// An operation on NULL gives NULL, as in SQL, and a condition that is NULL does not hold; but == and
// != are CEL's, to which null is a value equal to itself only.
package transform

import (
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// Mapping takes changes of one version of a table to another shape. It is not for concurrent use.
type Mapping struct {
	from, to *change.Table
	cells    []cell
	filter   *program
	// slice says that other sources fill the same destination table: a TRUNCATE takes the rows with
	// this one's constants only.
	slice bool
	key   change.Row // scratch
	free  []change.Value
	slab  []change.Value
}

// newMapping puts a mapping together. The key of the new shape is that of the old, led by constants
// that tell several sources apart.
func newMapping(from *change.Table, cells []cell, schema, name string, slice bool) (*Mapping, error) {
	m := &Mapping{from: from, cells: cells, slice: slice, key: make(change.Row, len(from.Columns))}
	m.to = &change.Table{OID: from.OID, Schema: schema, Name: name, Identity: from.Identity}
	if len(cells) == 0 {
		return nil, fmt.Errorf("no column of table %s is left", from.QualifiedName())
	}
	for i := range cells {
		column := cells[i].column
		if slices.ContainsFunc(m.to.Columns, func(c change.Column) bool { return c.Name == column.Name }) {
			return nil, fmt.Errorf("two columns of table %s become %s", from.QualifiedName(), column.Name)
		}
		m.to.Columns = append(m.to.Columns, column)
	}
	return m, m.mapKey()
}

func (m *Mapping) mapKey() error {
	if len(m.from.Key) == 0 {
		return nil
	}
	for _, k := range m.from.Key {
		i := slices.IndexFunc(m.cells, func(c cell) bool { return c.holds(k) })
		if i < 0 {
			return fmt.Errorf("the key column %s of %s is not mapped as it is: rows could not be told apart", m.from.Columns[k].Name, m.from.QualifiedName())
		}
		m.to.Key = append(m.to.Key, i)
	}
	for i := range m.cells {
		if m.slice && m.cells[i].fixed() && m.cells[i].constant.Format == change.Text {
			m.to.Key = append(m.to.Key, i)
		}
	}
	slices.Sort(m.to.Key)
	return nil
}

// Source is the old shape.
func (m *Mapping) Source() *change.Table { return m.from }

// Table is the new shape.
func (m *Mapping) Table() *change.Table { return m.to }

// Use makes an equal shape the mapping's own, so that sources that share a destination share its table.
func (m *Mapping) Use(t *change.Table) { m.to = t }

// Filtered tells whether rows enter and leave.
func (m *Mapping) Filtered() bool { return m.filter != nil }

// FiltersByKey tells whether the key alone decides what belongs: then no update makes a row enter.
func (m *Mapping) FiltersByKey() bool {
	return m.filter != nil && !slices.ContainsFunc(m.filter.inputs, func(i int) bool { return !m.from.IsKey(i) })
}

// Reset takes back the memory of every row given out.
func (m *Mapping) Reset() { m.free = m.slab }

// Apply gives c in the new shape; false when nothing of it is left. The rows stay valid until Reset
// and share the values' bytes with c. The error is an *UnknownError when a value is needed that the
// change does not hold: stored, a row of the old shape, may supply such values.
func (m *Mapping) Apply(c *change.Change, stored change.Row) (change.Change, bool, error) {
	switch c.Op {
	case change.Truncate:
		return m.truncate(c), true, nil
	case change.Delete:
		return m.remove(c)
	}
	after := c.After
	if c.Op == change.Update && c.BeforeKind == change.BeforeFull {
		after = m.fill(after, c.Before)
	}
	after = m.fill(after, stored)
	in, err := m.belongs(after)
	if err != nil {
		return change.Change{}, false, err
	}
	if !in {
		return m.leave(c)
	}
	return m.write(c, after)
}

// write gives a create, a read or an update of a row that belongs.
func (m *Mapping) write(c *change.Change, after change.Row) (out change.Change, ok bool, err error) {
	out = *c
	out.Table = m.to
	if out.After, err = m.row(after, c.Op == change.Update); err != nil {
		return out, false, err
	}
	if c.OtherKey != nil {
		out.OtherKey = m.Key(c.OtherKey)
	}
	if c.BeforeKind == change.BeforeNone {
		return out, true, nil
	}
	was, err := m.belonged(c)
	if err != nil {
		return out, false, err
	}
	if was == no {
		out.Op, out.Before, out.BeforeKind = change.Create, nil, change.BeforeNone
		return out, true, nil
	}
	out.Before, err = m.old(c.Before, c.BeforeKind)
	return out, true, err
}

// leave turns an update after which the row does not belong into a deletion. A row that is created or
// read and does not belong never was there.
func (m *Mapping) leave(c *change.Change) (out change.Change, ok bool, err error) {
	if c.Op != change.Update {
		return out, false, nil
	}
	was, err := m.belonged(c)
	if err != nil || was == no {
		return out, false, err
	}
	out = *c
	out.Op, out.Table, out.After = change.Delete, m.to, nil
	if c.BeforeKind == change.BeforeFull {
		out.Before, err = m.old(c.Before, c.BeforeKind)
		return out, true, err
	}
	out.Before, out.BeforeKind = m.Key(c.After), change.BeforeKey
	return out, true, nil
}

// remove maps a deletion. One of a row that may have belonged goes on.
func (m *Mapping) remove(c *change.Change) (out change.Change, ok bool, err error) {
	was, err := m.belonged(c)
	if err != nil || was == no {
		return out, false, err
	}
	out = *c
	out.Table = m.to
	if c.OtherKey != nil {
		out.OtherKey = m.Key(c.OtherKey)
	}
	out.Before, err = m.old(c.Before, c.BeforeKind)
	return out, err == nil, err
}

// truncate maps a TRUNCATE. Of a table that other sources fill too, Before says whose rows go.
func (m *Mapping) truncate(c *change.Change) change.Change {
	out := *c
	out.Table = m.to
	if !m.slice {
		return out
	}
	out.Before = m.blank()
	for i := range m.cells {
		if m.cells[i].fixed() {
			out.Before[i] = m.cells[i].constant
		}
	}
	return out
}

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
