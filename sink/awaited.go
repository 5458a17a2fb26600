package sink

import (
	"context"
	"slices"
	"time"
)

// AwaitedTable counts the rows of a destination table that are waited for.
type AwaitedTable struct {
	Table string    `json:"table"` // the destination's, as in SQL
	Rows  int64     `json:"rows"`
	Since time.Time `json:"since"` // of the oldest
}

// countEvery bounds how often rows that are waited for are counted: they may be a million, and batches come fast.
const countEvery = 5 * time.Second

// lookForAwaited looks whether the destination waits for rows, between two batches, and shows how many. It gives the
// first.
func (r *Runner) lookForAwaited(ctx context.Context) ([]Awaited, error) {
	from, can := r.dest.(Awaiter)
	if !can {
		return nil, nil
	}
	first, err := from.Awaited(ctx, 1)
	switch {
	case err != nil:
		return nil, err
	case len(first) == 0:
		r.forgetAwaited()
	case time.Since(r.counted) >= countEvery:
		all, err := from.CountAwaited(ctx)
		if err != nil {
			return nil, err
		}
		r.counted = time.Now()
		r.status.await(all)
	}
	return first, nil
}

// forgetAwaited shows no rows until they are counted again.
func (r *Runner) forgetAwaited() {
	r.counted = time.Time{}
	r.status.await(nil)
}

// awaitedTables gives the count of every table of the destination, for the figures.
func (r *Runner) awaitedTables() []AwaitedTable {
	all := slices.Clone(r.Status().Awaited)
	for i := range r.cfg.Tables {
		name := r.cfg.Tables[i].destination()
		if !slices.ContainsFunc(all, func(a AwaitedTable) bool { return a.Table == name }) {
			all = append(all, AwaitedTable{Table: name})
		}
	}
	return all
}
