package transform

import (
	"github.com/sluicecdc/sluice/internal/change"
)

// A filter has enter and leave semantics: an update after which the row belongs, and did not before,
// is its creation; one after which it does not belong is its deletion.

// belongs asks the filter about a row of which every value should be known.
func (m *Mapping) belongs(row change.Row) (bool, error) {
	if m.filter == nil {
		return true, nil
	}
	a, err := m.filter.holds(row)
	if err == nil && a == unknown {
		return false, m.filter.missing(row)
	}
	return a == yes, err
}

// belonged asks the filter about the row as it was: whole with REPLICA IDENTITY FULL, else by its key,
// which often leaves the answer unknown.
func (m *Mapping) belonged(c *change.Change) (answer, error) {
	if m.filter == nil {
		return yes, nil
	}
	if c.BeforeKind != change.BeforeNone {
		return m.filter.holds(c.Before)
	}
	if c.Op != change.Update {
		return unknown, nil
	}
	return m.filter.holds(m.keyOf(c.After))
}

// keyOf gives the key's values of a row alone, until it is called again.
func (m *Mapping) keyOf(row change.Row) change.Row {
	clear(m.key)
	for _, k := range m.from.Key {
		m.key[k] = row[k]
	}
	return m.key
}
