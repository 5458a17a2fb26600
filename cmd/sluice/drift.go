package main

import (
	"context"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
	"github.com/sluicecdc/sluice/sink"
)

// driftEvery is how often the destination is asked what sluice verify found.
const driftEvery = 15 * time.Second

// drifter is what destinations can do that sluice verify writes to.
type drifter interface {
	LoadDrift(ctx context.Context) ([]sink.Drift, error)
}

// watchDrift shows what sluice verify found last of a sink, in its status and metrics, until ctx ends.
func (p *process) watchDrift(ctx context.Context, name string) {
	dest, err := newDestination(p.cfg.Sinks[name], p.log, nil, nil)
	from, can := dest.(drifter)
	if err != nil || !can {
		return
	}
	for ctx.Err() == nil {
		if found, err := from.LoadDrift(ctx); err == nil { // the sink itself tells of a destination that does not answer
			p.metrics.sink.SetDrift(name, found)
			p.mu.Lock()
			p.sinks[name].drift = found
			p.mu.Unlock()
		}
		_ = retry.Wait(ctx, driftEvery) // the loop looks at ctx
	}
}
