package transform

import (
	"github.com/sluicecdc/sluice/internal/change"
)

// Apply gives c in the new shape; false when nothing of it is left. The rows stay valid until Reset
// and share the values' bytes with c. The error is an *UnknownError when a value is needed that the
// change does not hold: stored, a row of the old shape, may supply such values.
func (m *Mapping) Apply(c *change.Change, stored change.Row) (change.Change, bool, error) {
	switch c.Op {
	case change.Truncate, change.Sweep:
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
