package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicecdc/sluice/internal/control"
	"github.com/sluicecdc/sluice/sink"
)

// stalled sees why the destination does not follow. A sink with a schedule is asked for a run, as sluice sync does; one
// that a person has to let go on is an error.
func (k *sinkJob) stalled(ctx context.Context) error {
	all, err := control.Read(ctx, k.desk.client, k.s.Source)
	if err != nil {
		return fmt.Errorf("cannot see why the destination does not follow: %w", err)
	}
	name := k.s.Name
	switch w := sinkWishes(all, name); {
	case w.Paused:
		return fmt.Errorf("the destination does not follow, so that nothing can be said of it: sink %s is paused. Run sluice resume %s, and verify again", name, name)
	case w.Waiting != nil && !settled(&w):
		return fmt.Errorf("the destination does not follow, so that nothing can be said of it: sink %s is held at table %s since %s: %s. Verify again when it goes on",
			name, w.Waiting.Table, w.Waiting.Since.UTC().Format(time.RFC3339), heldBecause(name, w.Waiting))
	case k.s.Cadence.Realtime():
		return nil
	default:
		return k.askForRun(ctx, w.Sync)
	}
}

// settled tells whether a person has decided about what waits already: the sink goes on within seconds.
func settled(w *sink.Wishes) bool {
	return slices.ContainsFunc(w.Decisions, func(d sink.Decision) bool {
		return d.At == w.Waiting.At && d.To == w.Waiting.To && d.Kind == w.Waiting.Kind
	})
}

// heldBecause says what holds a sink and what lets it go on.
func heldBecause(name string, w *sink.Waiting) string {
	if w.Kind.Decidable() {
		return w.Counted() + "; " + w.Ask(name)
	}
	return w.Reason
}

// askForRun has the sink apply what was committed before now. What somebody asked for already stands, if it is more.
func (k *sinkJob) askForRun(ctx context.Context, asked time.Time) error {
	now := time.Now().UTC()
	if !now.After(asked) {
		return nil
	}
	wishes := control.Wishes{}
	if err := wishes.Put(sinkKey(k.s.Name, syncKey), timeWish{now}); err != nil {
		return err
	}
	if err := k.desk.write(ctx, wishes); err != nil {
		return fmt.Errorf("cannot ask sink %s for a run between its times, as sluice sync does: %w", k.s.Name, err)
	}
	k.log.Info("verify has the sink apply what was committed before now: it waits for its next time otherwise", "sink", k.s.Name, "cadence", k.s.Cadence.String())
	return nil
}
