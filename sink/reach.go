package sink

import (
	"context"
	"maps"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// Reacher is what a destination can do beside Sink, so that the breaker knows what deletions take with them.
type Reacher interface {
	// Reach gives the rows of other tables that would go, or be changed, with rows of t, through foreign keys of tables
	// from which the sink itself deletes nothing. ids hold the keys of the rows; nil stands for all of them. Tables
	// without such rows are left out, and one that several foreign keys lead to may come several times. It is asked between Applies, also while a batch is open.
	Reach(ctx context.Context, t *change.Table, ids []change.Row) ([]Reached, error)
}

// Reached are rows of a table of the destination.
type Reached struct {
	Schema, Name string
	Rows         int64
}

// reaches counts what deletions from a guarded table reach of others, by their names in SQL: now, and at the checkpoint.
type reaches struct{ open, done map[string]window }

// deletion is one that nobody has decided, of a batch.
type deletion struct {
	at int // of the batch's changes
	*change.Change
}

// reaching finds the first of changes with whose group deletions would take more of another table with them than the
// limits allow; -1 for none. What the destination holds before the batch is what they meet: those rows are not the sink's.
func (b *breaker) reaching(ctx context.Context, changes []change.Change) (at int, found *breach, err error) {
	r, can := b.Sink.(Reacher)
	if !can {
		return -1, nil, nil
	}
	at = -1
	for g, all := range b.deletions(changes) {
		i, breach, err := b.follow(ctx, r, g, all)
		if err != nil {
			return -1, nil, err
		}
		if breach != nil && (at < 0 || i < at) {
			at, found = i, breach
		}
	}
	return at, found, nil
}

// deletions gives those that count, by guard.
func (b *breaker) deletions(changes []change.Change) map[*guard][]deletion {
	all := map[*guard][]deletion{}
	for i := range changes {
		c := &changes[i]
		if c.Op != change.Delete && c.Op != change.Truncate || c.OtherKey != nil {
			continue
		}
		g := b.guard(c.Table)
		if g == nil || g.limits.off {
			continue
		}
		if _, rows := g.tallied(c); rows == 0 {
			continue
		}
		if b.lifted || b.approved(g, c, removals) {
			clear(g.reaches.open)
			continue
		}
		all[g] = append(all[g], deletion{i, c})
	}
	return all
}

// follow asks what the deletions from a table reach, in all and, only where that is too much, group by group.
func (b *breaker) follow(ctx context.Context, r Reacher, g *guard, all []deletion) (at int, found *breach, err error) {
	reached, err := reachOf(ctx, r, all)
	if err != nil || len(reached) == 0 {
		return -1, nil, err
	}
	g.touched = true
	if g.reaches.within(reached, g.limits.rows) {
		g.reaches.add(reached, slotOf(all[len(all)-1].Time, g.limits.window))
		return -1, nil, nil
	}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Commit == all[0].Commit {
			n++
		}
		if reached, err = reachOf(ctx, r, all[:n]); err != nil {
			return -1, nil, err
		}
		g.reaches.add(reached, slotOf(all[0].Time, g.limits.window))
		if found, err = b.beyond(ctx, g, all[:n], reached); found != nil || err != nil {
			return all[0].at, found, err
		}
		all = all[n:]
	}
	return -1, nil, nil
}

// reachOf asks for deletions from one table, of which a batch may have several versions; several foreign keys may lead to
// another one. Rows without key cannot be named.
func reachOf(ctx context.Context, r Reacher, all []deletion) ([]Reached, error) {
	ids := map[*change.Table][]change.Row{}
	for _, d := range all {
		if d.Op == change.Truncate {
			reached, err := r.Reach(ctx, d.Table, nil)
			return byTable(reached), err
		}
		if len(d.Table.Key) > 0 {
			ids[d.Table] = append(ids[d.Table], d.Before)
		}
	}
	var reached []Reached
	for t, rows := range ids {
		more, err := r.Reach(ctx, t, rows)
		if err != nil {
			return nil, err
		}
		reached = append(reached, more...)
	}
	return byTable(reached), nil
}

// byTable adds up the rows of each table.
func byTable(reached []Reached) (sums []Reached) {
	for _, r := range reached {
		if i := slices.IndexFunc(sums, func(s Reached) bool { return s.table() == r.table() }); i >= 0 {
			sums[i].Rows += r.Rows
		} else {
			sums = append(sums, r)
		}
	}
	return sums
}

// within tells whether the windows with the rows that are reached hold no more than so many.
func (r *reaches) within(reached []Reached, rows int64) bool {
	for _, to := range reached {
		w := r.open[to.table()]
		if w.sum+to.Rows > rows {
			return false
		}
	}
	return true
}

func (r *reaches) add(reached []Reached, slot int64) {
	for _, to := range reached {
		w := r.open[to.table()]
		w.add(slot, to.Rows)
		if r.open == nil {
			r.open = map[string]window{}
		}
		r.open[to.table()] = w
	}
}

func (r *Reached) table() string { return change.FormatName(r.Schema, r.Name) }

// beyond gives the breach of a group of which a table that is reached would lose too much.
func (b *breaker) beyond(ctx context.Context, g *guard, group []deletion, reached []Reached) (*breach, error) {
	for i := range reached {
		to := &reached[i]
		w := g.reaches.open[to.table()]
		if w.sum <= g.limits.rows {
			continue
		}
		of, err := b.rowsOf(ctx, &change.Table{Schema: to.Schema, Name: to.Name})
		if err != nil {
			return nil, err
		}
		if of >= 0 && float64(w.sum) <= g.limits.share*float64(of) {
			continue
		}
		found := newBreach(g, group[0].Change, removals, w.sum, of, nil)
		found.waiting.Reached = to.table()
		for _, d := range group {
			found.show(d.Change)
		}
		return found, nil
	}
	return nil, nil
}

// settle makes the counts those of the checkpoint, and restore takes those of it.
func (r *reaches) settle()  { r.done = maps.Clone(r.open) }
func (r *reaches) restore() { r.open = maps.Clone(r.done) }
