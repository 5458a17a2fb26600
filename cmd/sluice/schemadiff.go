package main

import (
	"slices"

	"github.com/sluicecdc/sluice/capture"
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

// difference is what a statement does to a table's records. after is nil when the table goes.
type difference struct {
	before, after *change.Table
	columns       []columnChange
}

func (d *difference) moved() bool {
	return d.before.Schema != d.after.Schema || d.before.Name != d.after.Name
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

// renamed gives the earlier name of a column that had another; empty when it had none.
func (d *difference) renamed(name string) string {
	for _, c := range d.columns {
		if c.Kind == columnRenamed && c.Column == name {
			return c.Was
		}
	}
	return ""
}

// renames tells whether a column of before has another name after.
func (d *difference) renames(name string) bool {
	return slices.ContainsFunc(d.columns, func(c columnChange) bool { return c.Kind == columnRenamed && c.Was == name })
}

// compare finds columns again by their numbers, so that a renamed one is not taken for another. avro
// describes the columns afterwards.
func compare(r *capture.Rehearsal, avro map[string]string) *difference {
	d := &difference{before: r.Before.Table}
	if r.After == nil {
		return d
	}
	d.after = r.After.Table
	was, is := published(r.Before), published(r.After)
	for _, c := range r.After.Columns {
		if t, ok := is[c.Number]; ok {
			d.column(was[c.Number], t, avro[c.Name])
		}
	}
	for _, c := range r.Before.Columns {
		_, stays := is[c.Number]
		if _, had := was[c.Number]; had && !stays {
			d.columns = append(d.columns, columnChange{Kind: columnDropped, Column: c.Name})
		}
	}
	return d
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

// published gives the columns that are in records, by number.
func published(s *capture.TableState) map[int]*change.Column {
	byName := map[string]*change.Column{}
	for i := range s.Table.Columns {
		byName[s.Table.Columns[i].Name] = &s.Table.Columns[i]
	}
	all := map[int]*change.Column{}
	for _, c := range s.Columns {
		if column := byName[c.Name]; column != nil {
			all[c.Number] = column
		}
	}
	return all
}
