package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// crossFaults are the rules that span sections; their messages name both settings.
func (c *Config) crossFaults() []fault {
	return slices.Concat(c.uncovered(), c.untransformed(), c.sharedTables())
}

// uncovered finds sinks that read a table which nobody captures: they would wait for ever.
func (c *Config) uncovered() []fault {
	patterns, ok := c.patterns()
	if !ok {
		return nil // said already
	}
	var all []fault
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		for i, t := range c.Sinks[name].Tables {
			schema, table, err := change.ParseName(t.From)
			covered := slices.ContainsFunc(patterns, func(p change.Pattern) bool { return p.Match(schema, table) })
			if err == nil && !covered {
				path := fmt.Sprintf("sinks.%s.tables[%d].from", name, i)
				all = append(all, fault{path, fmt.Sprintf("%s: %s is not among source.tables (%s): nobody would capture it",
					path, t.From, strings.Join(c.Source.Tables, ", "))})
			}
		}
	}
	return all
}

// untransformed finds rules for a table that nobody captures, which somebody took for another, and for
// one that has a rule already.
func (c *Config) untransformed() []fault {
	patterns, _ := c.patterns()
	first := map[string]int{}
	var all []fault
	for i, r := range c.Transforms {
		schema, table, err := change.ParseName(r.Table)
		path, name := fmt.Sprintf("transforms[%d].table", i), change.FormatName(schema, table)
		earlier, twice := first[name]
		switch {
		case err != nil || patterns == nil:
		case twice:
			all = append(all, fault{path, fmt.Sprintf("%s: %s has a rule already, transforms[%d]: write both into one", path, r.Table, earlier)})
		case !slices.ContainsFunc(patterns, func(p change.Pattern) bool { return p.Match(schema, table) }):
			all = append(all, fault{path, fmt.Sprintf("%s: %s is not among source.tables (%s): the rule would hide nothing", path, r.Table, strings.Join(c.Source.Tables, ", "))})
		}
		first[name] = i
	}
	return all
}

func (c *Config) patterns() (all []change.Pattern, ok bool) {
	for _, text := range c.Source.Tables {
		p, err := change.ParsePattern(text)
		if err != nil {
			return nil, false
		}
		all = append(all, p)
	}
	return all, len(all) > 0
}

// sharedTables finds two sinks that write the same table of the same destination: rows of one would
// overwrite those of the other.
func (c *Config) sharedTables() []fault {
	type place struct{ database, table string }
	type entry struct {
		path, sink string
		columns    []string
	}
	first := map[place]entry{}
	var all []fault
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		s := c.Sinks[name]
		for i, t := range s.Tables {
			schema, table, err := change.ParseName(t.To)
			database := s.Postgres.Place()
			if err != nil || database == "" {
				continue
			}
			at := place{database, change.FormatName(schema, table)}
			own := entry{fmt.Sprintf("sinks.%s.tables[%d]", name, i), name, t.Columns.Names()}
			if other, taken := first[at]; taken && other.sink != name {
				all = append(all, fault{own.path, fmt.Sprintf("%s: %s at this destination is written by %s already: two sinks cannot share a table%s",
					own.path, at.table, other.path, clash(own.columns, other.columns))})
				continue
			}
			first[at] = own
		}
	}
	return all
}

// clash says what two sinks would do to each other in one table.
func clash(a, b []string) string {
	if a == nil || b == nil {
		return ", each would overwrite what the other writes"
	}
	var both []string
	for _, column := range a {
		if slices.Contains(b, column) {
			both = append(both, column)
		}
	}
	if both == nil {
		return ", also with different columns: a delete takes the whole row"
	}
	return ", both would write " + strings.Join(both, ", ") + ", and a delete takes the whole row"
}
