package main

import (
	"context"
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
	calls    bool // the destination is an API
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
		evolve: s.Evolve, create: s.CreateTables(), truncate: m.Truncate, calls: s.Type == config.TypeHTTP,
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
	// Stale says that its rows do not follow the source's from then on.
	Stale bool `json:"stale"`
}

func (s *sinkStep) text() string { return "sink " + s.Sink + ", table " + s.Table + ": " + s.What }

// foresee gives the steps of every sink that has the table, by its name before or afterwards.
func (j *ddlJudge) foresee(ctx context.Context, c *capture.TableChange, d *difference) []sinkStep {
	steps := []sinkStep{}
	take := func(t *change.Table, of func(string, *sinkTarget) []sinkStep) {
		targets := sinkTargets(j.cfg, t)
		for _, name := range slices.Sorted(maps.Keys(targets)) {
			for i := range targets[name] {
				t := &targets[name][i]
				for _, s := range of(name, t) {
					s.Sink, s.Table = name, t.Table
					steps = append(steps, s)
				}
			}
		}
	}
	if d.before != nil {
		take(d.before, func(name string, t *sinkTarget) []sinkStep { return j.steps(ctx, name, t, c, d) })
	}
	if d.after != nil && c.Captured && (d.before == nil || d.moved()) {
		take(d.after, func(_ string, t *sinkTarget) []sinkStep { return t.begin(d.after) })
	}
	return steps
}

// begin is what a sink does with a table that is new to it.
func (t *sinkTarget) begin(table *change.Table) []sinkStep {
	switch _, err := t.mapping.Compile(table); {
	case err != nil:
		return []sinkStep{{What: "stops: " + err.Error(), Held: true}}
	case t.calls:
		return []sinkStep{{What: "makes calls for its rows"}}
	case !t.create:
		return []sinkStep{{What: "writes the records there; the table must exist (create: false)"}}
	}
	return []sinkStep{{What: "creates the table if it does not exist, and writes the records there"}}
}

// steps compares the destination's tables that a sink's mapping makes of the table before and after.
func (j *ddlJudge) steps(ctx context.Context, name string, t *sinkTarget, c *capture.TableChange, d *difference) []sinkStep {
	switch {
	case d.after == nil:
		return []sinkStep{{What: "keeps its rows; nothing comes any more", Stale: true}}
	case d.moved():
		return []sinkStep{{What: "gets nothing any more, until tables.from of the sink says " + nameOf(d.after), Stale: true}}
	case !c.Captured:
		return []sinkStep{{What: "gets nothing any more", Stale: true}}
	case c.Emptied:
		return []sinkStep{t.emptied(j.cfg.Source.Truncate)}
	case t.calls:
		return t.called(ctx, j.cfg.Sinks[name], d)
	}
	steps := t.reshaped(d)
	if len(c.Values) > 0 {
		there := askTypes(ctx, j.cfg.Sinks[name], t)
		for i := range c.Values {
			steps = append(steps, t.values(&c.Values[i], there)...)
		}
	}
	return steps
}

// reshaped is what a sink does when the columns change.
func (t *sinkTarget) reshaped(d *difference) []sinkStep {
	after, err := t.mapping.Compile(d.after)
	if err != nil {
		return []sinkStep{{What: "stops: " + err.Error(), Held: true}}
	}
	before, err := t.mapping.Compile(d.before)
	if err != nil {
		return []sinkStep{{What: "cannot take the table as it is: " + err.Error(), Held: true}}
	}
	steps := t.compare(before.Table(), after.Table(), d)
	if len(steps) == 0 && len(d.columns) > 0 {
		steps = append(steps, sinkStep{What: "stays as it is"})
	}
	return steps
}

// compare follows the sink's own comparison: columns are found again by number, and by name where the
// configuration lists them.
func (t *sinkTarget) compare(before, after *change.Table, d *difference) []sinkStep {
	var steps []sinkStep
	stays := map[string]bool{} // by names before
	for i := range after.Columns {
		c := &after.Columns[i]
		old, namesake := t.match(before, c), columnNamed(before, c.Name)
		switch {
		case old == nil && namesake != nil:
			steps = append(steps, t.step("drops column "+c.Name+" and adds it as another", sink.EvolveAll))
		case old == nil && !d.tells(c):
			steps = append(steps, sinkStep{What: "is held if the table has rows: what those have in column " + c.Name + " is in no record; it names the statement that adds the column, and the values must be copied from the source", Held: true})
		case old == nil:
			steps = append(steps, t.step("adds column "+c.Name+" "+typeThere(c), sink.EvolveAdd, sink.EvolveAll))
		default:
			stays[old.Name] = true
			if !d.tells(c) {
				steps = append(steps, sinkStep{What: "is held if the table has rows: their new values of column " + c.Name + " are in no record and must be copied from the source", Held: true})
				continue
			}
			steps = append(steps, t.altered(before, old, c)...)
		}
	}
	for i := range before.Columns {
		if c := &before.Columns[i]; !stays[c.Name] && columnNamed(after, c.Name) == nil {
			steps = append(steps, t.gone(c.Name))
		}
	}
	switch key := keyNames(after); {
	case !d.keyChanged() || slices.Equal(keyNames(before), key):
	case len(key) == 0:
		steps = append(steps, t.step("drops its primary key", sink.EvolveAll))
	default:
		steps = append(steps, t.step("makes ("+strings.Join(key, ", ")+") its primary key", sink.EvolveAll))
	}
	return steps
}

// match finds the column that another one was.
func (t *sinkTarget) match(before *change.Table, c *change.Column) *change.Column {
	if t.Columns != nil || c.Attnum == 0 {
		return columnNamed(before, c.Name)
	}
	for i := range before.Columns {
		if before.Columns[i].Attnum == c.Attnum {
			return &before.Columns[i]
		}
	}
	return nil
}

func columnNamed(t *change.Table, name string) *change.Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// altered is what a sink does with a column that has another name or type.
func (t *sinkTarget) altered(before *change.Table, old, c *change.Column) (steps []sinkStep) {
	copies := t.evolve == sink.EvolveAdd && !slices.Contains(keyNames(before), old.Name) && columnNamed(before, c.Name) == nil && postgres.Widens(&old.Type, &c.Type)
	switch {
	case old.Name == c.Name:
	case copies:
		return []sinkStep{{What: "adds column " + c.Name + " " + typeThere(c) + ", copies " + old.Name + " into it, and writes " + old.Name + " no more"}}
	default:
		steps = append(steps, t.step("renames column "+old.Name+" to "+c.Name, sink.EvolveAll))
	}
	if old.Type.Name != c.Type.Name {
		steps = append(steps, t.retype(old, c))
	}
	return steps
}

// gone is what a sink does with a column that is dropped.
func (t *sinkTarget) gone(name string) sinkStep {
	if t.evolve == sink.EvolveAdd {
		return sinkStep{What: "keeps column " + name + " and writes it no more"}
	}
	return t.step("drops column "+name, sink.EvolveAll)
}

// step is what the sink does under the extents of evolve that are named; otherwise it is held.
func (t *sinkTarget) step(what string, extents ...sink.Evolve) sinkStep {
	if slices.Contains(extents, t.evolve) {
		return sinkStep{What: what}
	}
	return sinkStep{What: "is held (evolve: " + string(t.evolve) + ") and names the statements to run; with evolve: " + string(extents[0]) + " it " + what, Held: true}
}

func (t *sinkTarget) retype(old, c *change.Column) sinkStep {
	what := "gives column " + c.Name + " the type " + typeThere(c)
	if postgres.Widens(&old.Type, &c.Type) {
		return t.step(what, sink.EvolveAdd, sink.EvolveAll)
	}
	if strings.Contains(old.Type.Name, ".") { // a type of somebody's: another name is another type to it
		return sinkStep{What: "is held and names the statements to run, since it takes " + c.Type.Name + " for another type than " + old.Type.Name, Held: true}
	}
	return t.step(what+", if the values of all rows stay as they are", sink.EvolveAll)
}

// typeThere names the type that a column gets at the destination.
func typeThere(c *change.Column) string {
	if strings.Contains(c.Type.Name, ".") { // a type of somebody's, with its schema
		return c.Type.Name + " (text, if there is no such type)"
	}
	return c.Type.Name
}
