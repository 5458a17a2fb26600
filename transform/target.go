package transform

import (
	"github.com/sluicecdc/sluice/internal/change"
)

// Target is where and as what a sink wants a table.
type Target struct {
	Schema, Name string
	Columns      Columns     // empty for all
	Where        *Expression // nil for all rows
	// Shared says that other source tables fill the same destination table: the constants of Columns
	// become part of its key.
	Shared bool
}

// Compile gives the mapping of a version of a source table.
func (d *Target) Compile(t *change.Table) (*Mapping, error) {
	cells := all(t)
	if len(d.Columns) > 0 {
		var err error
		if cells, err = project(t, d.Columns); err != nil {
			return nil, err
		}
	}
	m, err := newMapping(t, cells, d.Schema, d.Name, d.Shared)
	if err == nil && d.Where != nil {
		m.filter, err = compileFilter(*d.Where, t)
	}
	return m, err
}
