package main

import (
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// The kinds of a column's change.
const (
	columnAdded   = "added"
	columnDropped = "dropped"
	columnRenamed = "renamed"
	columnRetyped = "retyped"
)

// columnChange is one column of the records before and after.
type columnChange struct {
	Kind   string `json:"kind"`
	Column string `json:"column"`             // the name afterwards; of one that is gone, before
	Was    string `json:"was,omitempty"`      // the name before, when it is another
	Type   string `json:"type,omitempty"`     // PostgreSQL's, afterwards
	Old    string `json:"old_type,omitempty"` // when it is another
	Avro   string `json:"avro,omitempty"`
}

// difference is what a statement does to a table's records. before is nil when there are none before,
// after when the table goes.
type difference struct {
	before, after *change.Table
	columns       []columnChange
	untold        []int // numbers of columns in which older rows have values that no record says
}

func (d *difference) tells(c *change.Column) bool { return !slices.Contains(d.untold, int(c.Attnum)) }

func (d *difference) moved() bool {
	return d.before != nil && d.after != nil && (d.before.Schema != d.after.Schema || d.before.Name != d.after.Name)
}

func (d *difference) keyChanged() bool { return !slices.Equal(keyNames(d.before), d.renamedKey()) }

// renamedKey is the key afterwards under the names before.
func (d *difference) renamedKey() []string {
	names := keyNames(d.after)
	for _, c := range d.columns {
		if i := slices.Index(names, c.Column); i >= 0 && c.Was != "" {
			names[i] = c.Was
		}
	}
	return names
}

// compare finds columns again by their numbers, so that a renamed one is not taken for another. avro
// describes the columns afterwards.
func (d *difference) compare(avro map[string]string) {
	was, is := numbered(d.before), numbered(d.after)
	for i := range d.after.Columns {
		if c := &d.after.Columns[i]; c.Attnum != 0 {
			d.column(was[c.Attnum], c, avro[c.Name])
		}
	}
	if d.before == nil {
		return
	}
	for _, c := range d.before.Columns {
		if _, stays := is[c.Attnum]; !stays && c.Attnum != 0 {
			d.columns = append(d.columns, columnChange{Kind: columnDropped, Column: c.Name})
		}
	}
}

func (d *difference) column(was, is *change.Column, avro string) {
	c := columnChange{Column: is.Name, Type: is.Type.Name, Avro: avro}
	if was == nil {
		c.Kind = columnAdded
		d.columns = append(d.columns, c)
		return
	}
	if was.Name != is.Name {
		c.Kind, c.Was = columnRenamed, was.Name
		d.columns = append(d.columns, c)
	}
	if was.Type.Name != is.Type.Name {
		c.Kind, c.Old = columnRetyped, was.Type.Name
		d.columns = append(d.columns, c)
	}
}

// numbered gives the columns of the source that are in records, by number. Those that a transform computes
// have none.
func numbered(t *change.Table) map[int16]*change.Column {
	all := map[int16]*change.Column{}
	for i := 0; t != nil && i < len(t.Columns); i++ {
		if c := &t.Columns[i]; c.Attnum != 0 {
			all[c.Attnum] = c
		}
	}
	return all
}
