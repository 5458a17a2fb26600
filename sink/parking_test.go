package sink

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/deadletter"
)

// manual is a yard with batches that a test writes.
type manual struct {
	*yard
	commit change.LSN
}

func newManual(t *testing.T, configure func(*Config)) *manual {
	t.Helper()
	y := newYard(t, rand.New(rand.NewPCG(1, 1)), nil)
	if configure != nil {
		configure(&y.cfg)
	}
	y.begin()
	m := &manual{yard: y}
	m.resume()
	return m
}

func (m *manual) resume() {
	m.t.Helper()
	if _, err := m.parker.Resume(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// again is another process.
func (m *manual) again() {
	m.t.Helper()
	m.begin()
	m.resume()
}

// apply gives one batch of a second.
func (m *manual) apply(cs ...change.Change) error {
	m.commit++
	for i := range cs {
		cs[i].Commit, cs[i].Ordinal, cs[i].Time = m.commit, int64(i+1), change.Micros(m.commit)*1e6
		if cs[i].Table == nil {
			cs[i].Table = parkedTableVersion
		}
	}
	return m.parker.Apply(context.Background(), &Batch{Changes: cs, Groups: 1, Checkpoint: Checkpoint{Commit: m.commit, Time: change.Micros(m.commit) * 1e6, Complete: true}})
}

func (m *manual) must(cs ...change.Change) {
	m.t.Helper()
	if err := m.apply(cs...); err != nil {
		m.t.Fatal(err)
	}
}

func (m *manual) want(parked int64, rows map[string]string) {
	m.t.Helper()
	if m.parker.Parked() != parked {
		m.t.Errorf("%d changes are parked, want %d", m.parker.Parked(), parked)
	}
	for key, v := range rows {
		if m.dest.rows[key] != v {
			m.t.Errorf("row %s is %q, want %q", key, m.dest.rows[key], v)
		}
	}
	if len(m.dest.rows) != len(rows) {
		m.t.Errorf("the destination has %v, want %v", m.dest.rows, rows)
	}
}

// entries gives what the lot holds.
func (m *manual) entries() []*deadletter.Stored {
	m.t.Helper()
	c, err := (&memoryLot{to: m.topic}).Read(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return c.Sorted()
}

func put(key, v string) change.Change {
	return change.Change{Op: change.Create, After: change.Row{text(key), text(v)}}
}

// Only what comes behind a refused change of its row waits, and goes in order when it is replayed.
func TestParkedRowsWait(t *testing.T) {
	m := newManual(t, nil)
	m.must(put("1", "a"), put("2", "a"))
	m.must(put("1", "b"), put("1", "x1"), put("2", "b"), put("3", "x"), put("1", "c"))
	m.want(3, map[string]string{"1": "b", "2": "b"})
	m.must(put("1", "d"), put("2", "c"), change.Change{Op: change.Delete, Before: change.Row{text("3"), {}}})
	m.want(5, map[string]string{"1": "b", "2": "c"})
	all := m.entries()
	if e := all[0]; e.Key != "public.t/id=1" || e.Behind || e.Error != "refused" || e.Class != "data" || e.Of != 7 || !all[2].Behind {
		t.Errorf("%+v", e)
	}
	m.again()
	m.want(5, map[string]string{"1": "b", "2": "c"})
	m.wish(ParkedReplay, "public.t/id=1")
	m.resume()
	m.want(5, map[string]string{"1": "b", "2": "c"}) // it is still refused
	if e := m.entries()[0]; e.Tried == nil || e.Tried.Error != "refused" {
		t.Errorf("%+v", e)
	}
	m.dest.strict = false
	m.wish(ParkedReplay, "public.t/id=1")
	m.resume()
	m.want(2, map[string]string{"1": "d", "2": "c"})
	m.wish(ParkedDrop)
	m.resume()
	m.must(put("3", "new"))
	m.want(0, map[string]string{"1": "d", "2": "c", "3": "new"})
	if len(m.entries()) > 0 || len(m.wishes.Parked) > 0 {
		t.Errorf("left are %v and %v", m.entries(), m.wishes.Parked)
	}
}

// What has come after a person has looked is not meant.
func TestDropMeansWhatWasSeen(t *testing.T) {
	m := newManual(t, nil)
	m.must(put("1", "x"))
	m.wish(ParkedDrop)
	m.must(put("2", "x"))
	m.resume()
	m.want(1, nil)
}

// Rows whose keys were changed into one another are replayed and dropped together.
func TestLinkedRows(t *testing.T) {
	m := newManual(t, nil)
	m.must(put("1", "a"))
	m.must(put("1", "x"))
	m.must(change.Change{Op: change.Delete, Before: change.Row{text("1"), {}}, OtherKey: change.Row{text("2"), {}}},
		change.Change{Op: change.Create, After: change.Row{text("2"), text("b")}, OtherKey: change.Row{text("1"), {}}})
	m.must(put("1", "again"), put("2", "c"), put("3", "free"))
	m.want(5, map[string]string{"1": "a", "3": "free"})
	m.dest.strict = false
	m.wish(ParkedReplay, "public.t/id=2")
	m.resume()
	m.want(0, map[string]string{"1": "again", "2": "c", "3": "free"})
}

func TestParkingLimits(t *testing.T) {
	m := newManual(t, func(c *Config) { c.Parking = &Parking{Rows: 3, Share: 0.5} })
	for range 3 {
		m.must(put("1", "x"))
	}
	m.must(put("2", "a"), put("3", "a"), put("4", "a"), put("5", "a"))
	m.must(put("1", "a")) // four, but half of eight
	err := m.apply(put("1", "a"), put("6", "x"))
	if err == nil || Retryable(err) || !strings.Contains(err.Error(), "6 of the 10 changes of a minute would be parked, beyond both limits of {rows: 3, share: 50%}: refused") {
		t.Fatalf("%v", err)
	}
	m.again() // the count survives, so that it does not park more at each start
	m.commit--
	if err := m.apply(put("1", "a"), put("6", "x")); err == nil || !strings.Contains(err.Error(), "beyond both limits") {
		t.Errorf("%v", err)
	}
	m.resume()
	m.want(4, map[string]string{"2": "a", "3": "a", "4": "a", "5": "a"})
	m.commit += 60
	m.must(put("7", "x"))
}

// Without parking the sink stops, and what is parked already still waits in order.
func TestParkingOff(t *testing.T) {
	m := newManual(t, nil)
	m.must(put("1", "x"))
	m.cfg.Parking = &Parking{Off: true}
	m.again()
	m.must(put("1", "a"))
	m.want(2, nil)
	var refused *RefusedError
	if err := m.apply(put("2", "x")); !errors.As(err, &refused) || Retryable(err) {
		t.Errorf("%v", err)
	}
}

// Of a table without key the one change is parked: which row a later one is of cannot be told.
func TestParkingWithoutKey(t *testing.T) {
	m := newManual(t, nil)
	loose := *parkedTableVersion
	loose.Key = nil
	of := func(c change.Change) change.Change { c.Table = &loose; return c }
	m.must(of(put("1", "x")), of(put("1", "a")))
	m.want(1, map[string]string{"1": "a"})
	if key := m.entries()[0].Key; key != "public.t/@0/1+1" {
		t.Errorf("it is called %s", key)
	}
	m.dest.strict = false
	m.wish(ParkedReplay, "public.t/@0/1+1")
	m.resume()
	m.want(0, map[string]string{"1": "x"})
}

// A TRUNCATE takes what is parked before it along, unless the destination keeps its rows.
func TestTruncateDropsWhatIsParked(t *testing.T) {
	for _, c := range []struct {
		configure func(*Table)
		decide    Verdict
		parked    int64
	}{
		{func(*Table) {}, "", 1},
		{func(*Table) {}, Skip, 4},
		{func(t *Table) { t.Truncate = TruncateRefuse }, Approve, 1},
		{func(t *Table) { t.Deletes.Policy = DeleteIgnore }, "", 4},
	} {
		m := newManual(t, func(cfg *Config) { c.configure(&cfg.Tables[0]) })
		m.must(put("1", "x"), put("1", "a"))
		if c.decide != "" {
			m.wishes.Decisions = []Decision{{Verdict: c.decide, At: 2, To: "public.t", Kind: HoldTruncate}}
			m.steering.Set(m.wishes)
		}
		m.must(put("2", "x"), change.Change{Op: change.Truncate}, put("3", "x"))
		if m.parker.Parked() != c.parked {
			t.Errorf("%+v: %d changes are parked, want %d", m.cfg.Tables[0], m.parker.Parked(), c.parked)
		}
		m.again()
		if n := len(m.entries()); int64(n) != c.parked {
			t.Errorf("%+v: the lot has %d, want %d", m.cfg.Tables[0], n, c.parked)
		}
	}
}

// What must not pass parked changes waits until they are gone.
func TestHeldByParkedChanges(t *testing.T) {
	other := *parkedTableVersion
	other.Key = []int{1}
	for name, c := range map[string]change.Change{
		"another key": {Op: change.Create, Table: &other, After: change.Row{text("9"), text("a")}},
		"a repair":    {Op: change.Sweep, Keep: 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManual(t, nil)
			m.must(put("1", "x"))
			var held *HeldError
			if err := m.apply(c); !errors.As(err, &held) || held.Why != HoldParked || held.At != 2 || !strings.Contains(held.Reason, "sluice dlq list billing") {
				t.Fatalf("%v", err)
			}
			m.wish(ParkedDrop)
			m.resume()
			m.commit--
			if err := m.apply(c); err != nil {
				t.Error(err)
			}
		})
	}
}

// Changes of an older version of their table are replayed in the version that the destination has.
func TestReplayInTheVersionOfToday(t *testing.T) {
	m := newManual(t, nil)
	m.must(put("1", "x"))
	later := *parkedTableVersion
	later.Columns = append(later.Columns[:2:2], change.Column{Name: "w", Attnum: 3})
	seven := "7"
	later.Columns[2].Missing = &seven
	m.must(change.Change{Op: change.Create, Table: &later, After: change.Row{text("2"), text("a"), text("1")}})
	m.again()
	m.dest.strict = false
	var got *change.Change
	spy := &applySpy{Sink: m.parker.Sink, see: func(c *change.Change) { got = c }}
	m.parker.Sink = spy
	m.wish(ParkedReplay)
	m.resume()
	m.want(0, map[string]string{"1": "x", "2": "a"})
	if got == nil || len(got.Table.Columns) != 3 || string(got.After[2].Data) != "7" {
		t.Errorf("it was applied as %+v", got)
	}
}

type applySpy struct {
	Sink
	see func(*change.Change)
}

func (s *applySpy) Apply(ctx context.Context, b *Batch) error {
	for i := range b.Changes {
		s.see(&b.Changes[i])
	}
	return s.Sink.Apply(ctx, b)
}

// A sink that waits for its schedule is woken by a wish, and one that runs does it between two batches.
func TestWishesWakeARunner(t *testing.T) {
	before := Wishes{Parked: []ParkedWish{{ID: "1"}}}
	for _, c := range []struct {
		after []string
		more  bool
	}{{nil, false}, {[]string{"1"}, false}, {[]string{"2"}, true}, {[]string{"1", "2"}, true}} {
		w := Wishes{}
		for _, id := range c.after {
			w.Parked = append(w.Parked, ParkedWish{ID: id})
		}
		if w.more(&before) != c.more {
			t.Errorf("%v: %v", c.after, !c.more)
		}
	}
	r := &Runner{seen: true, cadence: Cadence{Every: time.Hour}, last: Checkpoint{Complete: true, Time: change.Micros(time.Now().UnixMicro())}}
	if !r.asleep(&Wishes{}, time.Now()) || r.asleep(&before, time.Now()) {
		t.Error("a wish does not wake it")
	}
}
