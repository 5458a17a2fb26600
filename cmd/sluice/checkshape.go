package main

import (
	"context"
	"slices"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/transform"
)

// checkShapes looks at what the source's tables need of a destination: columns that keep every value, calls that can be
// written. A source that does not answer and a mapping that does not fit are told elsewhere.
func checkShapes(ctx context.Context, cfg *config.Config, s *config.Sink, dest destination) (all []finding) {
	var shapes []*change.Table
	for i := range s.Tables {
		schema, name, err := change.ParseName(s.Tables[i].From)
		if err != nil || transformed(cfg, schema, name) {
			continue
		}
		state, err := capture.Inspect(ctx, cfg.Source, schema, name)
		if err != nil {
			continue
		}
		if shape, err := s.Shape(i, state.Table); err == nil {
			shapes = append(shapes, shape)
		}
	}
	for _, f := range dest.CheckShapes(ctx, shapes) {
		all = append(all, findingOf("sink "+s.Name, f))
	}
	return all
}

// transformed tells whether a table's topic has other columns than the table.
func transformed(cfg *config.Config, schema, name string) bool {
	return slices.ContainsFunc(cfg.Transforms, func(r transform.Rule) bool {
		s, n, err := change.ParseName(r.Table)
		return err == nil && s == schema && n == name
	})
}
