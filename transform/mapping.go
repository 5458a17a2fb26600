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
