package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluicecdc/sluice/internal/change"
)

// tally of a destination: what is committed, what is open.
type ledger struct {
	committed, open []change.Change
	at              Checkpoint
	rows            int64 // that each table has
	asked           int
	strays          int64
	reached         int64 // rows of invoices with each of people
	closed          int
}

func (l *ledger) Resume(context.Context) (Checkpoint, error) { l.open = nil; return l.at, nil }

func (l *ledger) Apply(_ context.Context, b *Batch) error {
	for _, c := range b.Changes {
		if c.Op == change.Truncate && c.Table == refused && !c.Approved {
			return HeldAt(&HeldError{Table: "public.refused", Why: HoldTruncate, Reason: "it was truncated"}, c.Commit)
		}
		l.open = append(l.open, c)
	}
	if !b.Open {
		l.committed, l.open, l.at = append(l.committed, l.open...), nil, b.Checkpoint
	}
	return nil
}

func (l *ledger) Close() error { l.open, l.closed = nil, l.closed+1; return nil }

// CountRows sees what is deleted in the open transaction.
func (l *ledger) CountRows(context.Context, *change.Table) (int64, error) {
	l.asked++
	n := l.rows
	for i := range l.open {
		if c := &l.open[i]; c.Op == change.Delete && c.OtherKey == nil {
			n--
		}
	}
	return n, nil
}

func (l *ledger) Strays(context.Context, *change.Change) (int64, []string, error) {
	return l.strays, []string{"id=7"}, nil
}

func (l *ledger) Reach(_ context.Context, t *change.Table, ids []change.Row) ([]Reached, error) {
	rows := int64(len(ids))
	if ids == nil {
		rows = l.rows
	}
	if t != people || l.reached == 0 {
		return nil, nil
	}
	return []Reached{{"public", "invoices", rows * l.reached}}, nil
}

func (l *ledger) Find(context.Context, *change.Table, change.Row) (change.Row, error) {
	return nil, errors.New("no row")
}

func keyed(name string) *change.Table {
	return &change.Table{Schema: "public", Name: name, Columns: []change.Column{{Name: "id"}, {Name: "v"}}, Key: []int{0}}
}

var people, mirror, refused, kept = keyed("people"), keyed("mirror"), keyed("refused"), keyed("kept")

// guarded is a breaker over a ledger.
type guarded struct {
	t *testing.T
	*ledger
	Sink
	steering *Steering
	wishes   Wishes
	reg      *prometheus.Registry
	commit   change.LSN
	time     change.Micros
}

func newGuarded(t *testing.T, rows int64, l Breaker) *guarded {
	g := &guarded{t: t, ledger: &ledger{rows: rows}, reg: prometheus.NewRegistry(), time: 1_700_000_000_000_000}
	g.begin(l)
	return g
}

// begin starts a process that serves the sink.
func (g *guarded) begin(l Breaker) {
	cfg := &Config{Name: "billing", Breaker: &l, Tables: []Table{
		{From: "public.people", Deletes: Deletes{Policy: DeleteHard}, Truncate: TruncateApply},
		{From: "public.refused", Deletes: Deletes{Policy: DeleteHard}},
		{From: "public.people", To: "public.mirror", Deletes: Deletes{Policy: DeleteHard}, Truncate: TruncateApply},
		{From: "public.kept", Deletes: Deletes{Policy: DeleteIgnore}, Truncate: TruncateApply},
	}}
	cfg.SetDefaults()
	g.steering = NewSteering()
	g.steering.Set(g.wishes)
	g.reg = prometheus.NewRegistry()
	g.Sink = Guarded(g.ledger, cfg, g.steering, slog.New(slog.DiscardHandler), NewMetrics(g.reg))
	g.resume()
}

func (g *guarded) resume() {
	g.t.Helper()
	if _, err := g.Sink.Resume(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
}

// group gives changes a commit of their own, some seconds after the one before.
func (g *guarded) group(after time.Duration, cs ...change.Change) []change.Change {
	g.commit += 100
	g.time += change.Micros(after.Microseconds())
	for i := range cs {
		cs[i].Commit, cs[i].Time, cs[i].Ordinal = g.commit, g.time, int64(i+1)
	}
	return cs
}

// give applies groups as one batch, in pieces of at most n changes (0: whole).
func (g *guarded) give(n int, cs []change.Change) error {
	for n > 0 && len(cs) > n {
		if err := g.Sink.Apply(g.t.Context(), &Batch{Changes: cs[:n], Open: true}); err != nil {
			return err
		}
		cs = cs[n:]
	}
	cp := Checkpoint{Commit: g.commit, Complete: true}
	if len(cs) > 0 {
		cp.Commit = cs[len(cs)-1].Commit
	}
	return g.Sink.Apply(g.t.Context(), &Batch{Changes: cs, Groups: 1, Checkpoint: cp})
}

func (g *guarded) applies(n int, cs []change.Change) {
	g.t.Helper()
	if err := g.give(n, cs); err != nil {
		g.t.Fatal(err)
	}
}

// holds gives what waits.
func (g *guarded) holds(n int, cs []change.Change) *Waiting {
	g.t.Helper()
	before := len(g.committed)
	err := g.give(n, cs)
	var held *HeldError
	if !errors.As(err, &held) || held.Waiting == nil {
		g.t.Fatalf("%v, want it held", err)
	}
	if Retryable(err) || held.At != held.Waiting.At || held.Why != held.Waiting.Kind {
		g.t.Errorf("%+v", held)
	}
	if err := g.Sink.Close(); err != nil {
		g.t.Fatal(err)
	}
	g.resume()
	if len(g.committed) != before {
		g.t.Errorf("%d changes are committed of a group that is held", len(g.committed)-before)
	}
	return held.Waiting
}

func (g *guarded) decide(w *Waiting, v Verdict) {
	g.wishes.Decisions = append(g.wishes.Decisions, Decision{Verdict: v, At: w.At, To: w.To, Kind: w.Kind})
	g.steering.Set(g.wishes)
}

func rowOf(n int) change.Row {
	return change.Row{{Format: change.Text, Data: fmt.Append(nil, n)}, {Format: change.Text, Data: []byte("v")}}
}

// many gives changes of n rows.
func many(op change.Op, t *change.Table, n int) (cs []change.Change) {
	for i := range n {
		c := change.Change{Op: op, Table: t, After: rowOf(i)}
		if op == change.Delete {
			c.Before, c.BeforeKind, c.After = rowOf(i), change.BeforeKey, nil
		}
		cs = append(cs, c)
	}
	return cs
}

func concat[V any](all ...[]V) (out []V) {
	for _, s := range all {
		out = append(out, s...)
	}
	return out
}

// defaults are the breaker as it is when the configuration says nothing.
var defaults = Breaker{}

// A transaction in pieces that deletes too much is held whole, and shown whole; nothing is locked meanwhile. It
// is applied when it is approved, and what comes behind is counted anew.
func TestBreakerHoldsADelete(t *testing.T) {
	g := newGuarded(t, 60_000, defaults)
	g.applies(0, g.group(0, many(change.Create, people, 10)...))
	mass := g.group(time.Second, concat(many(change.Create, kept, 7), many(change.Delete, people, 50_000), many(change.Create, kept, 7))...)
	w := g.holds(5000, mass)
	if w.Rows != 50_000 || w.Of != 60_000 || w.Table != "public.people" || w.To != "public.people" || w.Kind != HoldDeletes || w.Window != "1m" || w.More ||
		len(w.Samples) != 10 || !strings.HasPrefix(w.Samples[0], "id=") || w.Limits != "{rows: 1000, share: 10%, window: 1m}" {
		t.Errorf("%+v", w)
	}
	for _, want := range []string{"50000 rows of public.people would be removed, 83.3% of about 60000 within 1m", "sluice approve billing", "sluice skip billing"} {
		if !strings.Contains(w.Reason, want) {
			t.Errorf("%q is not in: %s", want, w.Reason)
		}
	}
	asked := g.asked
	if again := g.holds(5000, mass); again.Rows != w.Rows || again.Reason != w.Reason || !again.Since.Equal(w.Since) || g.asked != asked {
		t.Errorf("the second look says %+v", again)
	}
	g.decide(w, Approve)
	g.applies(5000, mass)
	if len(g.committed) != 10+len(mass) {
		t.Errorf("%d changes are committed, want all", len(g.committed))
	}
	g.applies(0, g.group(time.Second, many(change.Delete, people, 1000)...))
	g.holds(0, g.group(time.Second, many(change.Delete, people, 6000)...))
}

// What is skipped is left out, deterministically and whole; the rest of the group is applied.
func TestBreakerSkips(t *testing.T) {
	g := newGuarded(t, 20_000, defaults)
	mass := g.group(0, concat(many(change.Create, people, 3), many(change.Delete, people, 9000), []change.Change{{Op: change.Truncate, Table: people}}, many(change.Update, people, 2))...)
	g.decide(g.holds(2000, mass), Skip)
	for range 2 { // the second after a crash
		if err := g.Sink.Apply(t.Context(), &Batch{Changes: mass[:4000], Open: true}); err != nil {
			t.Fatal(err)
		}
		g.begin(defaults)
	}
	g.applies(2000, mass)
	if len(g.committed) != 5 {
		t.Errorf("%d changes are committed, want the 5 that are no deletions", len(g.committed))
	}
	if n := testutil.ToFloat64(g.metricsOf("sluice_sink_skipped_records_total")); n != 9001 {
		t.Errorf("%v changes are counted as skipped", n)
	}
	g.holds(0, g.group(time.Second, many(change.Delete, people, 9000)...))
}

func (g *guarded) metricsOf(name string) prometheus.Collector {
	b := g.Sink.(*findingBreaker)
	if name != "sluice_sink_skipped_records_total" {
		g.t.Fatal(name)
	}
	return b.metrics.skipped.WithLabelValues("billing", "public.people")
}

// Deletions add up over a window of commit times, by table; a batch that is applied again does not count twice.
func TestBreakerCountsAWindow(t *testing.T) {
	g := newGuarded(t, 5000, defaults)
	for range 20 {
		g.applies(0, g.group(7*time.Second, many(change.Delete, people, 100)...)) // 900 in a minute
		g.applies(0, g.group(0, many(change.Delete, kept, 3000)...))
	}
	last := g.group(0, many(change.Delete, people, 50)...)
	for range 10 {
		if err := g.Sink.Apply(t.Context(), &Batch{Changes: last, Open: true}); err != nil {
			t.Fatal(err)
		}
		g.resume()
	}
	g.applies(0, last)
	w := g.holds(0, concat(g.group(0, many(change.Delete, people, 40)...), g.group(0, many(change.Delete, people, 300)...)))
	if w.At != g.commit || w.Rows != 900+50+340 {
		t.Errorf("%+v", w)
	}
	g.begin(defaults) // the window begins anew, but what waits is remembered
	g.wishes.Waiting = w
	g.steering.Set(g.wishes)
	again := g.holds(0, g.at(w.At, many(change.Delete, people, 300)))
	if again.Rows != w.Rows || again.Since != w.Since {
		t.Errorf("another process says %+v", again)
	}
	rows := int64(100_000) // limits that were raised since do not let it stand
	g.begin(Breaker{Rows: &rows})
	g.applies(0, g.at(w.At, many(change.Delete, people, 300)))
}

func (g *guarded) at(commit change.LSN, cs []change.Change) []change.Change {
	for i := range cs {
		cs[i].Commit, cs[i].Time = commit, g.time
	}
	return cs
}

// A share of the table must be exceeded, too, and the destination is seldom asked for it.
func TestBreakerAsksForTheShare(t *testing.T) {
	g := newGuarded(t, 1_000_000, defaults)
	for range 100 {
		g.applies(0, g.group(time.Second, many(change.Delete, people, 900)...)) // 54,000 in a minute
	}
	if g.asked == 0 || g.asked > 3 {
		t.Errorf("asked %d times", g.asked)
	}
	g.rows = 100_000 // it became smaller
	g.holds(0, g.group(time.Second, many(change.Delete, people, 60_000)...))
}

// Tables live by updates: those of small transactions are not counted, one that rewrites a table is held.
func TestBreakerCountsBulkUpdates(t *testing.T) {
	g := newGuarded(t, 2000, defaults)
	for range 200 {
		g.applies(0, g.group(100*time.Millisecond, many(change.Update, people, 99)...))
	}
	g.applies(0, g.group(time.Second, many(change.Update, people, 1000)...))
	w := g.holds(500, g.group(2*time.Minute, many(change.Update, people, 2000)...))
	if w.Kind != HoldUpdates || w.Rows != 2000 || !strings.Contains(w.Reason, "rewritten") || len(w.Samples) != 10 {
		t.Errorf("%+v", w)
	}
	for range 9 {
		g.applies(0, g.group(2*time.Second, many(change.Update, people, 110)...))
	}
	g.holds(0, g.group(time.Second, many(change.Update, people, 110)...))
}

// The halves of a key change are one rewritten row, and skipped together, also between two pieces.
func TestBreakerCountsKeyChanges(t *testing.T) {
	g := newGuarded(t, 3000, defaults)
	var moves []change.Change
	for i := range 1500 {
		gone, come := many(change.Delete, people, 1)[0], many(change.Create, people, 1)[0]
		gone.OtherKey, come.OtherKey = rowOf(i+9000), rowOf(i)
		moves = append(moves, gone, come)
	}
	entered := many(change.Create, people, 1)[0] // its other half never belonged
	entered.OtherKey = rowOf(5)
	mass := g.group(0, concat(moves, many(change.Delete, people, 3), []change.Change{entered})...)
	w := g.holds(0, mass)
	if w.Kind != HoldUpdates || w.Rows != 1500 {
		t.Errorf("%+v", w)
	}
	g.decide(w, Skip)
	g.applies(701, mass)
	if len(g.committed) != 4 {
		t.Errorf("%d changes are committed, want 4", len(g.committed))
	}
}

// A TRUNCATE removes all rows. One that the configuration refuses is settled too, and approved only once.
func TestBreakerAndTruncate(t *testing.T) {
	g := newGuarded(t, 5000, defaults)
	truncate := func(t *change.Table) []change.Change {
		return g.group(2*time.Minute, change.Change{Op: change.Truncate, Table: t}, change.Change{Op: change.Create, Table: t, After: rowOf(1)})
	}
	g.applies(0, truncate(kept))
	w := g.holds(0, truncate(people))
	if w.Kind != HoldDeletes || w.Rows != 5000 {
		t.Errorf("%+v", w)
	}
	no := truncate(refused)
	w = g.holds(0, no)
	if w.Kind != HoldTruncate || w.Rows != 5000 || w.To != "public.refused" || !strings.Contains(w.Reason, "it was truncated. Or decide this once: 5000 rows of public.refused would be removed, 100% of about 5000; sluice approve billing") {
		t.Errorf("%+v", w)
	}
	g.decide(w, Approve)
	g.applies(0, no)
	if n := len(g.committed); n != 4 || !g.committed[2].Approved {
		t.Errorf("%d changes are committed", n)
	}
	no = truncate(refused)
	g.decide(g.holds(0, no), Skip)
	g.applies(0, no)
	if n := len(g.committed); n != 5 || g.committed[4].Op != change.Create {
		t.Errorf("%d changes are committed", n)
	}
	g.rows = 900
	g.applies(0, truncate(people))
}

// Rows of a first copy are no rewrites and what is deleted meanwhile is no loss; the sweep at the end of a
// repair is one.
func TestBreakerAndCopies(t *testing.T) {
	g := newGuarded(t, 3000, defaults)
	early := func(cs []change.Change) []change.Change {
		for i := range cs {
			cs[i].Early = true
		}
		return cs
	}
	g.applies(0, g.group(0, early(concat(many(change.Read, people, 3000), many(change.Update, people, 3000), many(change.Delete, people, 2000)))...))
	repair := many(change.Read, people, 3000)
	for i := range repair {
		repair[i].Early, repair[i].Keep = true, 1
	}
	end := g.group(time.Second, append(repair, change.Change{Op: change.Sweep, Table: people, Keep: 1})...)
	g.strays = 2000
	w := g.holds(1000, end)
	if w.Kind != HoldDeletes || w.Rows != 2000 || w.Samples[0] != "id=7" {
		t.Errorf("%+v", w)
	}
	g.strays = 200
	g.begin(defaults)
	g.applies(1000, end)
	if n := len(g.committed); n != 8000+3001 {
		t.Errorf("%d changes are committed", n)
	}
}

func TestBreakerIsLifted(t *testing.T) {
	g := newGuarded(t, 3000, defaults)
	mass := g.group(0, many(change.Delete, people, 2000)...)
	g.holds(0, mass)
	g.wishes.Lifted = time.Now().Add(time.Hour)
	g.steering.Set(g.wishes)
	g.applies(0, mass)
	g.wishes.Lifted = time.Now()
	g.steering.Set(g.wishes)
	g.applies(0, g.group(time.Second, many(change.Delete, people, 900)...))
	g.holds(0, g.group(time.Second, many(change.Delete, people, 900)...))
	g.begin(Breaker{Off: true})
	g.applies(0, g.group(time.Second, many(change.Delete, people, 3000)...))
}

// While the rest of a held group is counted the destination cannot say what a mapping asks for.
func TestBreakerFindsNothingWhileCounting(t *testing.T) {
	g := newGuarded(t, 3000, defaults)
	f := g.Sink.(Finder)
	if err := g.Sink.Apply(t.Context(), &Batch{Changes: g.group(0, many(change.Delete, people, 2000)...), Open: true}); err != nil || g.closed != 1 {
		t.Fatalf("%v, closed %d times", err, g.closed)
	}
	_, err := f.Find(t.Context(), people, rowOf(1))
	var held *HeldError
	if !errors.As(err, &held) || !held.Waiting.More || held.Waiting.Rows != 2000 {
		t.Errorf("%v", err)
	}
}

// Destinations of one source are decided one by one.
func TestBreakerDecidesByDestination(t *testing.T) {
	g := newGuarded(t, 3000, defaults)
	mass := g.group(0, concat(many(change.Delete, people, 2000), many(change.Delete, mirror, 1500))...)
	w := g.holds(0, mass)
	if w.To != "public.people" || w.Rows != 2000 {
		t.Errorf("%+v", w)
	}
	g.decide(w, Skip)
	w = g.holds(0, mass)
	if w.To != "public.mirror" || w.Table != "public.people" || w.Rows != 1500 {
		t.Errorf("%+v", w)
	}
	g.decide(w, Approve)
	g.applies(0, mass)
	if len(g.committed) != 1500 || g.committed[0].Table != mirror {
		t.Errorf("%d changes are committed", len(g.committed))
	}
}
