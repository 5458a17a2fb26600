package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/transform"
)

// checkMappings compiles every transform and mapping for the tables as the source has them now. A source
// that does not answer is told elsewhere.
func checkMappings(ctx context.Context, cfg *config.Config) (all []finding) {
	known := map[string]*change.Table{}
	for i := range cfg.Transforms {
		r := &cfg.Transforms[i]
		t := inspect(ctx, cfg, known, r.Table)
		if t == nil {
			continue
		}
		m, err := r.Compile(t)
		all = append(all, verdictsOn("transforms", "table "+r.Table, m, err)...)
		if r.Unsalted() {
			all = append(all, finding{"transforms", verdictWarning, "table " + r.Table + ": salt", "sha256 without salt: whoever knows what the values look like can hash them all and compare", "set salt to a secret of yours"})
		}
		if err == nil {
			known[spelled(r.Table)] = m.Table()
		}
	}
	for _, name := range sinkNames(cfg) {
		s := cfg.Sinks[name]
		for i := range s.Tables {
			if t := inspect(ctx, cfg, known, s.Tables[i].From); t != nil && mapped(&s.Tables[i]) {
				m, err := s.Mapping(i, t)
				all = append(all, verdictsOn("sink "+name, "mapping of "+s.Tables[i].From+" to "+s.Tables[i].To, m, err)...)
			}
		}
	}
	return all
}

func mapped(t *sink.Table) bool { return len(t.Columns) > 0 || t.Where != nil }

// inspect gives a captured table, as the transforms leave it when it has any; nil when it cannot be read.
func inspect(ctx context.Context, cfg *config.Config, known map[string]*change.Table, name string) *change.Table {
	key := spelled(name)
	if t, ok := known[key]; ok {
		return t
	}
	known[key] = nil
	schema, table, err := change.ParseName(name)
	if err != nil {
		return nil
	}
	if state, err := capture.Inspect(ctx, cfg.Source, schema, table); err == nil {
		known[key] = state.Table
	}
	return known[key]
}

// spelled gives a table's name in one spelling.
func spelled(name string) string {
	schema, table, _ := change.ParseName(name) // the configuration was validated
	return change.FormatName(schema, table)
}

// verdictsOn says whether a mapping fits, and what an update may lack that it needs.
func verdictsOn(part, what string, m *transform.Mapping, err error) []finding {
	if err != nil {
		return []finding{{part, verdictFault, what, err.Error(), "correct the configuration"}}
	}
	found := []finding{{Part: part, Verdict: verdictOK, What: what}}
	if m == nil {
		return found
	}
	if columns := m.MayLack(); len(columns) > 0 {
		t := m.Source()
		found = append(found, finding{part, verdictWarning, what,
			fmt.Sprintf("values of %s over about 2 kB do not travel with an update that leaves them alone: where the mapping needs one that the destination does not hold either, the row is asked for at the source and comes a little later", strings.Join(columns, ", ")),
			"ALTER TABLE " + change.FormatName(t.Schema, t.Name) + " REPLICA IDENTITY FULL"})
	}
	return found
}
