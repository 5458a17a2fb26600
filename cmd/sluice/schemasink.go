package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/sink"
)

// sinkTarget is where a sink takes a table to.
type sinkTarget struct {
	Table   string `json:"table"`
	Deletes string `json:"deletes"`
	// Columns are those of the destination, each with the source's column that it holds or the
	// expression that makes it; null when every column goes under its own name.
	Columns map[string]string `json:"columns"`
	// Follows says that the destination's table is made and completed by the sink.
	Follows bool `json:"follows"`
}

// sinkTargets gives for each sink what it makes of a table.
func sinkTargets(cfg *config.Config, t *change.Table) map[string][]sinkTarget {
	all := map[string][]sinkTarget{}
	for name, s := range cfg.Sinks {
		for _, m := range s.Tables {
			schema, table, err := change.ParseName(m.From)
			if err == nil && schema == t.Schema && table == t.Name {
				all[name] = append(all[name], targetOf(&s, &m))
			}
		}
	}
	return all
}

func targetOf(s *config.Sink, m *sink.Table) sinkTarget {
	return sinkTarget{Table: m.To, Deletes: string(m.Deletes.Policy), Columns: m.Columns.Sources(), Follows: s.CreateTables()}
}

// of gives the names that a source column has at the destination.
func (t *sinkTarget) of(column string) []string {
	if t.Columns == nil {
		return []string{column}
	}
	var names []string
	for to, from := range t.Columns {
		if from == column {
			names = append(names, to)
		}
	}
	slices.Sort(names)
	return names
}

// sinkStep is what a sink does when the table's first record after the statement arrives.
type sinkStep struct {
	Sink  string `json:"sink"`
	Table string `json:"table"`
	What  string `json:"what"`
	// Held says that the sink waits there for a person.
	Held bool `json:"held"`
}

// foresee gives the steps of every sink that has the table.
func foresee(cfg *config.Config, d *difference) []sinkStep {
	steps := []sinkStep{}
	targets := sinkTargets(cfg, d.before)
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		for i := range targets[name] {
			t := &targets[name][i]
			for _, s := range t.steps(d) {
				s.Sink, s.Table = name, t.Table
				steps = append(steps, s)
			}
		}
	}
	return steps
}

func (t *sinkTarget) steps(d *difference) []sinkStep {
	if d.after == nil {
		return []sinkStep{{What: "keeps its rows; nothing comes any more"}}
	}
	var steps []sinkStep
	if d.moved() {
		steps = append(steps, sinkStep{What: "gets nothing any more until tables.from of the sink says " + change.FormatName(d.after.Schema, d.after.Name)})
	}
	for _, c := range d.columns {
		if s := t.step(&c); s.What != "" {
			steps = append(steps, s)
		}
	}
	if d.keyChanged() && len(d.after.Key) > 0 {
		steps = append(steps, sinkStep{
			What: fmt.Sprintf("finds rows by another key: without a unique index of %s on exactly (%s) it is held", t.Table, strings.Join(t.key(d.after), ", ")),
			Held: true,
		})
	}
	return steps
}

func (t *sinkTarget) key(after *change.Table) []string {
	var names []string
	for _, k := range keyNames(after) {
		names = append(names, t.of(k)...)
	}
	return names
}

// step says what becomes of one column.
func (t *sinkTarget) step(c *columnChange) sinkStep {
	names := strings.Join(t.of(c.name()), ", ")
	switch {
	case names == "":
		return sinkStep{}
	case c.Kind == columnAdded && t.Follows:
		return sinkStep{What: "adds column " + c.Column + " " + c.Type}
	case c.Kind == columnAdded:
		return sinkStep{What: "is held until the table has a column " + c.Column + ": ALTER TABLE " + t.Table + " ADD COLUMN " + quoteIdent(c.Column) + " " + c.Type, Held: true}
	case c.Kind == columnDropped && t.Columns == nil:
		return sinkStep{What: "keeps column " + names + " and writes it no more"}
	case c.Kind == columnDropped, c.Kind == columnRenamed && t.Columns != nil:
		return sinkStep{What: "is held until columns of the sink no longer name " + c.name() + ", which " + names + " comes from", Held: true}
	case c.Kind == columnRenamed && t.Follows:
		return sinkStep{What: "keeps column " + c.Was + " and adds " + c.Column + " beside it, empty in the rows that are there until they are written again"}
	case c.Kind == columnRenamed:
		return sinkStep{What: "is held until the table has a column " + c.Column + ": ALTER TABLE " + t.Table + " RENAME COLUMN " + quoteIdent(c.Was) + " TO " + quoteIdent(c.Column), Held: true}
	}
	return sinkStep{What: "keeps the type of column " + names + "; a value that it cannot take stops it: ALTER TABLE " + t.Table + " ALTER COLUMN " + quoteIdent(names) + " TYPE " + c.Type}
}
