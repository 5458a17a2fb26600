package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
	"github.com/sluicecdc/sluice/transform"
)

// sinkTarget is where a sink takes a table to.
type sinkTarget struct {
	Table   string `json:"table"`
	Deletes string `json:"deletes"`
	Where   string `json:"where,omitempty"`
	// Columns are those of the destination, each with the source's column that it holds or the
	// expression that makes it; null when every column goes under its own name.
	Columns map[string]string `json:"columns"`

	mapping  transform.Target
	evolve   sink.Evolve
	create   bool
	truncate sink.TruncatePolicy
}

// sinkTargets gives for each sink what it makes of a table.
func sinkTargets(cfg *config.Config, t *change.Table) map[string][]sinkTarget {
	all := map[string][]sinkTarget{}
	for name, s := range cfg.Sinks {
		for i := range s.Tables {
			schema, table, err := change.ParseName(s.Tables[i].From)
			if err == nil && schema == t.Schema && table == t.Name {
				all[name] = append(all[name], targetOf(&s, i))
			}
		}
	}
	return all
}

func targetOf(s *config.Sink, i int) sinkTarget {
	m := &s.Tables[i]
	t := sinkTarget{
		Table: m.To, Deletes: string(m.Deletes.Policy), Columns: m.Columns.Sources(),
		evolve: s.Evolve, create: s.CreateTables(), truncate: m.Truncate,
	}
	if m.Where != nil {
		t.Where = m.Where.Text
	}
	schema, name, _ := change.ParseName(m.To) // the configuration was validated
	t.mapping = transform.Target{Schema: schema, Name: name, Columns: m.Columns, Where: m.Where, Shared: s.Shared(i)}
	return t
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

func (s *sinkStep) text() string { return "sink " + s.Sink + ", table " + s.Table + ": " + s.What }

// foresee gives the steps of every sink that has the table, by its name before or afterwards.
func foresee(cfg *config.Config, c *capture.TableChange, d *difference) []sinkStep {
	steps := []sinkStep{}
	take := func(t *change.Table, of func(*sinkTarget) []sinkStep) {
		targets := sinkTargets(cfg, t)
		for _, name := range slices.Sorted(maps.Keys(targets)) {
			for i := range targets[name] {
				t := &targets[name][i]
				for _, s := range of(t) {
					s.Sink, s.Table = name, t.Table
					steps = append(steps, s)
				}
			}
		}
	}
	if d.before != nil {
		take(d.before, func(t *sinkTarget) []sinkStep { return t.steps(c, d, cfg.Source.Truncate) })
	}
	if d.after != nil && c.Captured && (d.before == nil || d.moved()) {
		take(d.after, func(t *sinkTarget) []sinkStep { return t.begin(d.after) })
	}
	return steps
}

// begin is what a sink does with a table that is new to it.
func (t *sinkTarget) begin(table *change.Table) []sinkStep {
	switch _, err := t.mapping.Compile(table); {
	case err != nil:
		return []sinkStep{{What: "stops: " + err.Error(), Held: true}}
	case !t.create:
		return []sinkStep{{What: "writes its records into " + t.Table + ", which must be there: create is false"}}
	}
	return []sinkStep{{What: "creates " + t.Table + " if it is not there, and writes its records there"}}
}

// steps compares the destination's tables that the sink's mapping makes of the table before and after.
func (t *sinkTarget) steps(c *capture.TableChange, d *difference, truncate string) []sinkStep {
	switch {
	case d.after == nil:
		return []sinkStep{{What: "keeps its rows; nothing comes any more"}}
	case d.moved():
		return []sinkStep{{What: "gets nothing any more until tables.from of the sink says " + nameOf(d.after)}}
	case !c.Captured:
		return []sinkStep{{What: "gets nothing any more"}}
	case c.Emptied:
		return []sinkStep{t.emptied(truncate)}
	}
	after, err := t.mapping.Compile(d.after)
	if err != nil {
		return []sinkStep{{What: "stops: " + err.Error(), Held: true}}
	}
	before, err := t.mapping.Compile(d.before)
	if err != nil {
		return []sinkStep{{What: "cannot take the table as it is: " + err.Error(), Held: true}}
	}
	steps := t.compare(before.Table(), after.Table(), d)
	for i := range c.Values {
		steps = append(steps, t.values(&c.Values[i])...)
	}
	return steps
}

func (t *sinkTarget) compare(before, after *change.Table, d *difference) []sinkStep {
	var steps []sinkStep
	was, is := columnsByName(before), columnsByName(after)
	for _, c := range after.Columns {
		switch old := was[c.Name]; {
		case old == nil && d.renamed(c.Name) != "":
			steps = append(steps, t.rename(d.renamed(c.Name), &c))
		case old == nil:
			steps = append(steps, t.step("adds column "+c.Name+" "+c.Type.Name, sink.EvolveAdd, sink.EvolveAll))
		case old.Type.Name != c.Type.Name:
			steps = append(steps, t.retype(old, &c))
		}
	}
	for _, c := range before.Columns {
		switch {
		case is[c.Name] != nil:
		case t.evolve == sink.EvolveAdd:
			steps = append(steps, sinkStep{What: "keeps column " + c.Name + " and writes it no more"})
		case !d.renames(c.Name):
			steps = append(steps, t.step("drops column "+c.Name, sink.EvolveAll))
		}
	}
	if key := keyNames(after); len(key) > 0 && !slices.Equal(keyNames(before), key) {
		steps = append(steps, t.step("makes ("+strings.Join(key, ", ")+") the primary key of "+t.Table, sink.EvolveAll))
	}
	return steps
}

// step is what the sink does under the extents of evolve that are named; otherwise it is held.
func (t *sinkTarget) step(what string, extents ...sink.Evolve) sinkStep {
	if slices.Contains(extents, t.evolve) {
		return sinkStep{What: what}
	}
	return sinkStep{What: "is held (evolve: " + string(t.evolve) + ") and names the statements to run; with evolve: " + string(extents[0]) + " it " + what, Held: true}
}

func (t *sinkTarget) rename(old string, c *change.Column) sinkStep {
	if t.evolve == sink.EvolveAdd {
		return sinkStep{What: "adds column " + c.Name + " " + c.Type.Name + " and copies " + old + " into it"}
	}
	return t.step("renames column "+old+" to "+c.Name, sink.EvolveAll)
}

func (t *sinkTarget) retype(old, c *change.Column) sinkStep {
	what := "gives column " + c.Name + " the type " + c.Type.Name
	if postgres.Widens(&old.Type, &c.Type) {
		return t.step(what, sink.EvolveAdd, sink.EvolveAll)
	}
	return t.step(what+", if the values of all rows stay as they are", sink.EvolveAll)
}

func columnsByName(t *change.Table) map[string]*change.Column {
	all := map[string]*change.Column{}
	for i := range t.Columns {
		all[t.Columns[i].Name] = &t.Columns[i]
	}
	return all
}
