package sink

import (
	"context"
	"errors"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// maxCounted bounds how far the rest of a held group is counted: what comes behind a million rows changes
// nobody's mind.
const maxCounted = 1_000_000

// breach is a group that exceeds the limits of a table.
type breach struct {
	waiting Waiting
	guard   *guard
	tally   tally
	whole   bool // counted to the end of the group
}

func newBreach(g *guard, c *change.Change, t tally, sum, of int64, keys []string) *breach {
	r := &breach{guard: g, tally: t, waiting: Waiting{
		Table: g.source, To: g.to, Kind: t.hold(), At: c.Commit, Time: timeOf(c.Time), Since: time.Now().UTC(),
		Rows: sum, Of: max(0, of), Window: shortDuration(g.limits.window), Limits: g.limits.String(),
	}}
	for _, key := range keys {
		r.waiting.addSample(key)
	}
	return r
}

// counting tells whether the rest of a held group is being counted, so that a person sees all of it.
func (b *breaker) counting() bool { return b.breach != nil && !b.breach.whole }

// trip takes the breach at changes[i]: it is counted to the end of its group, which may come with later pieces.
func (b *breaker) trip(changes []change.Change, i int, open bool) error {
	if b.breach.whole {
		return b.end()
	}
	for k := range changes[:i+1] {
		if b.guard(changes[k].Table) == b.breach.guard {
			b.breach.show(&changes[k])
		}
	}
	if b.more(changes[i+1:]) || !open {
		return b.end()
	}
	return b.Sink.Close() // so that nothing is locked meanwhile
}

// count takes a piece of a group that is held.
func (b *breaker) count(batch *Batch) error {
	if b.more(batch.Changes) || !batch.Open {
		return b.end()
	}
	return nil
}

// more counts changes of the group that is held, and tells whether its end, or that of counting, was met.
func (b *breaker) more(changes []change.Change) (ended bool) {
	r := b.breach
	for i := range changes {
		c := &changes[i]
		if c.Commit != r.waiting.At {
			return true
		}
		g := b.guard(c.Table)
		if g != r.guard {
			continue
		}
		if r.waiting.Rows >= maxCounted {
			r.waiting.More = true
			return true
		}
		t, rows := g.tallied(c)
		if t != r.tally || rows == 0 {
			continue
		}
		if rows < 0 {
			r.waiting.More, rows = true, 0
		}
		r.waiting.Rows += rows
		r.show(c)
	}
	return false
}

// show adds the key of a change that is held.
func (r *breach) show(c *change.Change) {
	if t, rows := r.guard.tallied(c); t == r.tally && rows > 0 && c.Commit == r.waiting.At {
		r.waiting.sample(c)
	}
}

// end gives the error that holds the sink.
func (b *breaker) end() error {
	r := b.breach
	w := &r.waiting
	if !r.whole {
		r.whole = true
		if w.Of > 0 {
			w.Share = float64(w.Rows) / float64(w.Of)
		}
		w.Reason = "the breaker holds the transaction of commit " + w.At.String() + " (" + w.Time.Format("2006-01-02 15:04:05Z") + "): " + w.Counted() +
			", beyond both limits of " + w.Limits + ". Nothing of it was applied; " + w.Ask(b.name)
	}
	shown := *w
	return &HeldError{Table: w.Table, Why: w.Kind, At: w.At, Reason: w.Reason, Waiting: &shown}
}

// explain adds to a TRUNCATE that the destination refuses what a person needs to decide.
func (b *breaker) explain(ctx context.Context, changes []change.Change, err error) error {
	var held *HeldError
	if !errors.As(err, &held) || held.Why != HoldTruncate {
		return err
	}
	for i := range changes {
		c := &changes[i]
		g := b.guard(c.Table)
		if c.Op != change.Truncate || c.Commit != held.At || c.Approved || g == nil || g.source != held.Table || !g.refuses {
			continue
		}
		w := &Waiting{Table: held.Table, Kind: HoldTruncate, At: held.At, Time: timeOf(c.Time), Since: time.Now().UTC(), To: g.to}
		if rows, err := b.rowsOf(ctx, c.Table); err == nil && rows >= 0 {
			w.Rows, w.Of, w.Share = rows, rows, 1
		}
		held.Reason += ". Or decide this once: " + w.Counted() + "; " + w.Ask(b.name)
		w.Reason, held.Waiting = held.Reason, w
		break
	}
	return err
}
