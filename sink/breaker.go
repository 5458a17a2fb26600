package sink

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// Counter is what a destination can do beside Sink, so that the breaker knows shares. It is asked between
// Applies, also while a batch is open, and seldom.
type Counter interface {
	// CountRows gives about how many rows the destination table of t has, 0 when there is none. It must be
	// quick for a table of any size.
	CountRows(ctx context.Context, t *change.Table) (int64, error)
}

// Sweeper is what a destination can do beside Sink, so that the breaker knows what the end of a repair removes.
type Sweeper interface {
	// Strays gives how many rows a Sweep that came next would remove, and the keys of some of them.
	Strays(ctx context.Context, c *change.Change) (rows int64, keys []string, err error)
}

// bulkPart is the part of the limit of rows from which on the updates of one transaction are counted. Tables
// live by small ones, and a table of a thousand rows may well see each of them a minute; what rewrites a table
// by mistake is one statement.
const bulkPart = 10

// breaker stands before a destination and holds mass changes until a person decides. What it counts is a
// function of the log since the process began to serve the sink, and of what the tables hold.
type breaker struct {
	Sink
	name     string
	steering *Steering
	log      *slog.Logger
	metrics  *Metrics
	guards   map[string]*guard // by destination table
	versions map[*change.Table]*guard

	wishes Wishes // during an Apply
	lifted bool
	breach *breach    // that was found last, until the sink is past it
	at     change.LSN // the checkpoint that the counts belong to
	tried  change.LSN // the checkpoint that is being applied
	out    []change.Change
	moved  half // of the key change that was left out last
}

// half tells the first half of a key change by its position.
type half struct {
	table   *change.Table
	commit  change.LSN
	ordinal int64
}

// guard watches one destination table.
type guard struct {
	limits  limits
	to      string // the destination table, as in SQL
	source  string // the source tables, as HeldError names them
	keeps   bool   // deletions change nothing (deletes: ignore)
	refuses bool   // truncate: refuse

	open, done [2]window // now, and at the checkpoint; by tally
	reaches    reaches
	enough     [2]known
	touched    bool       // open is not done
	removed    int64      // by what is not committed yet
	gone       int64      // of removed, what the destination's open transaction has removed
	group      change.LSN // of the updates that are counted in updates
	updates    int64
	skipped    int64 // in what is not committed yet
}

// known is how many rows may be counted until the table is asked again.
type known struct {
	rows float64
	slot int64
}

// holds tells whether the answer is not older than a window.
func (k known) holds(slot int64) bool { return slot < k.slot+slots && slot > k.slot-slots }

// tally is what a window counts.
type tally int

const (
	removals tally = iota
	rewrites
)

func (t tally) hold() Hold {
	if t == rewrites {
		return HoldUpdates
	}
	return HoldDeletes
}

// Guarded puts the breaker of a sink's tables before a destination. It also carries out what is decided about
// a TRUNCATE that the destination refuses.
func Guarded(dest Sink, c *Config, s *Steering, log *slog.Logger, m *Metrics) Sink {
	b := &breaker{Sink: dest, name: c.Name, steering: s, log: log.With("sink", c.Name), metrics: m, guards: map[string]*guard{}, versions: map[*change.Table]*guard{}}
	for i := range c.Tables {
		t := &c.Tables[i]
		if g := b.guards[t.destination()]; g != nil {
			g.source += ", " + t.label()
			continue
		}
		b.guards[t.destination()] = &guard{limits: c.limits(t), to: t.destination(), source: t.label(),
			keeps: t.Deletes.Policy == DeleteIgnore, refuses: t.Truncate != TruncateApply}
	}
	f, finds := dest.(Finder)
	a, awaits := dest.(Awaiter)
	switch {
	case finds && awaits:
		return &awaitingBreaker{findingBreaker{b, f}, a}
	case finds:
		return &findingBreaker{b, f}
	}
	return b
}

// awaitingBreaker is the breaker of a destination that also waits for rows.
type awaitingBreaker struct {
	findingBreaker
	Awaiter
}

// findingBreaker is the breaker of a destination that finds rows.
type findingBreaker struct {
	*breaker
	finder Finder
}

// Find implements Finder. While the rest of a held group is counted the destination lacks what it would answer by.
func (f *findingBreaker) Find(ctx context.Context, t *change.Table, id change.Row) (change.Row, error) {
	if f.counting() {
		f.breach.waiting.More = true
		return nil, f.end()
	}
	return f.finder.Find(ctx, t, id)
}

// Resume implements Sink. The counts go back to those of the checkpoint.
func (b *breaker) Resume(ctx context.Context) (Checkpoint, error) {
	cp, err := b.Sink.Resume(ctx)
	if err != nil {
		return cp, err
	}
	committed := b.tried != 0 && cp.Commit == b.tried // its answer was lost
	for _, g := range b.guards {
		switch {
		case committed:
			g.done = g.open
			g.reaches.settle()
		case cp.Commit == b.at:
			g.open = g.done
			g.reaches.restore()
		default: // another process served the sink meanwhile
			g.open, g.done, g.reaches = [2]window{}, [2]window{}, reaches{}
		}
		g.begin()
		g.enough = [2]known{}
	}
	if b.counting() {
		b.breach = nil // it was not counted to its end
	}
	b.at, b.tried, b.moved = cp.Commit, 0, half{}
	b.versions = map[*change.Table]*guard{}
	return cp, nil
}

// Apply implements Sink. What would exceed the limits gives a *HeldError, and nothing of the batch is applied.
func (b *breaker) Apply(ctx context.Context, batch *Batch) error {
	if b.counting() {
		return b.count(batch)
	}
	b.wishes = b.steering.get()
	b.lifted = time.Now().Before(b.wishes.Lifted)
	given := *batch
	given.Changes = b.decide(batch.Changes)
	if !batch.Open {
		b.tried = batch.Checkpoint.Commit
	}
	far, breach, err := b.reaching(ctx, given.Changes)
	if err != nil {
		return err
	}
	for i := 0; i < len(given.Changes); i++ {
		if given.Changes[i].Op == change.Sweep && i > 0 {
			// What it removes depends on what comes before.
			if err := b.Sink.Apply(ctx, &Batch{Changes: given.Changes[:i], Open: true, Aside: batch.Aside}); err != nil {
				return b.explain(ctx, given.Changes, err)
			}
			b.forwarded()
			given.Changes, far, i = given.Changes[i:], far-i, 0
		}
		held, err := b.weigh(ctx, &given.Changes[i])
		if err != nil {
			return err
		}
		if held {
			return b.trip(given.Changes, i, batch.Open)
		}
		if i == far && breach != nil {
			b.breach = breach
			return b.end()
		}
	}
	if err := b.Sink.Apply(ctx, &given); err != nil {
		return b.explain(ctx, given.Changes, err)
	}
	if batch.Open {
		b.forwarded()
	} else {
		b.settle(batch.Checkpoint.Commit)
	}
	return nil
}

// forwarded notes that the destination has all that was counted, and shows its tables without it.
func (b *breaker) forwarded() {
	for _, g := range b.guards {
		g.gone = g.removed
	}
}

// begin forgets what was counted of a transaction of the destination.
func (g *guard) begin() {
	g.touched, g.removed, g.gone, g.group, g.updates, g.skipped = false, 0, 0, 0, 0, 0
}

// guard gives that of a table in the shape of the destination; nil for one that nobody configured.
func (b *breaker) guard(t *change.Table) *guard {
	if t == nil {
		return nil
	}
	g, ok := b.versions[t]
	if !ok {
		g = b.guards[change.FormatName(t.Schema, t.Name)]
		b.versions[t] = g
	}
	return g
}

// settle makes the counts those of the checkpoint.
func (b *breaker) settle(commit change.LSN) {
	b.at, b.tried = commit, 0
	if b.breach != nil && commit >= b.breach.waiting.At {
		b.breach = nil
	}
	for _, g := range b.guards {
		if g.touched {
			g.done = g.open
			g.reaches.settle()
		}
		if g.skipped > 0 {
			b.log.Warn("changes were left out, as sluice skip said: the destination differs from the source there", "table", g.source, "changes", g.skipped, "lsn", commit)
			b.metrics.skip(b.name, g.source, g.skipped)
		}
		g.begin()
	}
}

// tallied gives how a change counts for a table: what it is counted as, and how many rows it concerns, -1 for
// a number that must be asked for.
func (g *guard) tallied(c *change.Change) (t tally, rows int64) {
	switch {
	case c.Op == change.Update, c.Op == change.Await, c.Op == change.Delete && c.OtherKey != nil:
		if c.Early && c.Keep == 0 {
			return rewrites, 0 // the table is being filled
		}
		return rewrites, 1
	case g.keeps, c.Early && c.Keep == 0:
	case c.Op == change.Delete:
		return removals, 1
	case c.Op == change.Truncate && (!g.refuses || c.Approved), c.Op == change.Sweep && len(c.Table.Key) > 0:
		return removals, -1
	}
	return removals, 0
}

// weigh counts a change and tells whether it would exceed the limits of its table.
func (b *breaker) weigh(ctx context.Context, c *change.Change) (held bool, err error) {
	if c.Op == change.Create || c.Op == change.Read {
		return false, nil // as most changes are
	}
	g := b.guard(c.Table)
	if g == nil || g.limits.off {
		return false, nil
	}
	t, rows := g.tallied(c)
	if rows == 0 {
		return false, nil
	}
	g.touched = true
	if b.lifted || b.approved(g, c, t) {
		g.open[t] = window{}
		return false, nil
	}
	if b.stands(g, c, t) {
		return true, nil
	}
	var keys []string
	if rows < 0 {
		if rows, keys, err = b.ask(ctx, c); err != nil {
			return false, err
		}
	}
	if t == rewrites {
		rows = g.bulk(c)
	}
	if t == removals {
		g.removed += rows
	}
	slot := slotOf(c.Time, g.limits.window)
	sum := g.open[t].add(slot, rows)
	if sum <= g.limits.rows || float64(sum) <= g.enough[t].rows && g.enough[t].holds(slot) {
		return false, nil
	}
	of, err := b.rowsOf(ctx, c.Table)
	if err != nil {
		return false, err
	}
	if of >= 0 {
		of += g.gone
	}
	g.enough[t] = known{g.limits.share * float64(of), slot}
	if of == 0 { // it has nothing to lose but what this batch brings
		g.enough[t].rows = 2 * float64(sum)
	}
	if float64(sum) <= g.enough[t].rows {
		return false, nil
	}
	b.breach = newBreach(g, c, t, sum, of, keys)
	return true, nil
}

// bulk gives the updates that count with one more of a transaction: none, until they are many, and then all.
func (g *guard) bulk(c *change.Change) int64 {
	if c.Commit != g.group {
		g.group, g.updates = c.Commit, 0
	}
	g.updates++
	switch least := max(1, g.limits.rows/bulkPart); {
	case g.updates < least:
		return 0
	case g.updates == least:
		return least
	default:
		return 1
	}
}

// ask gives the rows that a TRUNCATE or a Sweep removes. Where nobody knows, they are too many.
func (b *breaker) ask(ctx context.Context, c *change.Change) (rows int64, keys []string, err error) {
	if c.Op == change.Truncate {
		rows, err = b.rowsOf(ctx, c.Table)
		if rows < 0 {
			rows = b.guard(c.Table).limits.rows + 1
		}
		return rows, nil, err
	}
	if s, ok := b.Sink.(Sweeper); ok {
		return s.Strays(ctx, c)
	}
	return 0, nil, nil
}

// rowsOf gives about how many rows a table has, -1 when the destination cannot tell.
func (b *breaker) rowsOf(ctx context.Context, t *change.Table) (int64, error) {
	c, ok := b.Sink.(Counter)
	if !ok {
		return -1, nil
	}
	return c.CountRows(ctx, t)
}

// approved tells whether a person lets the changes of a kind in c's group through.
func (b *breaker) approved(g *guard, c *change.Change, t tally) bool {
	d := b.wishes.decision(c.Commit, g.to, t.hold())
	if d == nil && t == removals && c.Op == change.Truncate {
		d = b.wishes.decision(c.Commit, g.to, HoldTruncate) // of which the rows were shown
	}
	return d != nil && d.Verdict == Approve
}

// stands tells whether c is of what held the sink before, under the same limits, and is still to be decided.
func (b *breaker) stands(g *guard, c *change.Change, t tally) bool {
	is := func(w *Waiting) bool {
		return w.At == c.Commit && w.To == g.to && w.Kind == t.hold() && w.Limits == g.limits.String()
	}
	if b.breach != nil && is(&b.breach.waiting) {
		return true
	}
	if w := b.wishes.Waiting; w != nil && is(w) {
		b.breach = &breach{waiting: *w, guard: g, tally: t, whole: true}
		return true
	}
	return false
}

// decide takes out what a person had left out, and marks a TRUNCATE that one has approved.
func (b *breaker) decide(changes []change.Change) []change.Change {
	if !b.decided(changes) {
		return changes
	}
	b.out = b.out[:0]
	for i := range changes {
		c := changes[i]
		g := b.guard(c.Table)
		if g != nil && b.skipped(g, &c) {
			g.skipped++
			continue
		}
		if g != nil && c.Op == change.Truncate {
			d := b.wishes.decision(c.Commit, g.to, HoldTruncate)
			c.Approved = d != nil && d.Verdict == Approve
		}
		b.out = append(b.out, c)
	}
	return b.out
}

// decided tells whether there may be a decision about one of the changes.
func (b *breaker) decided(changes []change.Change) bool {
	if len(changes) == 0 {
		return false
	}
	first, last := changes[0].Commit, changes[len(changes)-1].Commit
	for i := range b.wishes.Decisions {
		if at := b.wishes.Decisions[i].At; first <= at && at <= last {
			return true
		}
	}
	return false
}

// skipped tells whether a change is to be left out.
func (b *breaker) skipped(g *guard, c *change.Change) bool {
	left := func(kind Hold) bool {
		d := b.wishes.decision(c.Commit, g.to, kind)
		return d != nil && d.Verdict == Skip
	}
	switch c.Op {
	case change.Create: // of a key change whose other half was left out
		return c.OtherKey != nil && b.moved == half{c.Table, c.Commit, c.Ordinal - 1}
	case change.Update, change.Await:
		return left(HoldUpdates)
	case change.Truncate:
		return left(HoldTruncate) || left(HoldDeletes)
	case change.Sweep:
		return left(HoldDeletes)
	case change.Delete:
		if c.OtherKey == nil {
			return left(HoldDeletes)
		}
		if left(HoldUpdates) {
			b.moved = half{c.Table, c.Commit, c.Ordinal}
			return true
		}
	}
	return false
}
