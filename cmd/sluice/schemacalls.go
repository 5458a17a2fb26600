package main

import (
	"context"
	"log/slog"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
)

// called is what a sink whose destination is an API does when the columns change: it has nothing to alter there.
func (t *sinkTarget) called(ctx context.Context, s config.Sink, d *difference) []sinkStep {
	shape, err := t.mapping.Compile(d.after)
	if err != nil {
		return []sinkStep{{What: "stops: " + err.Error(), Held: true}}
	}
	dest, err := newDestination(s, slog.New(slog.DiscardHandler), nil, nil)
	if err != nil {
		return []sinkStep{{What: "stops: " + err.Error(), Held: true}}
	}
	for _, f := range dest.CheckShapes(ctx, []*change.Table{shape.Table()}) {
		if f.Fault != "" {
			return []sinkStep{{What: "stops: " + f.Fault, Held: true}}
		}
	}
	return []sinkStep{{What: "sends rows in the new shape from then on; rows that the API has stay as they were sent until they change"}}
}
