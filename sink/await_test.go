package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluicecdc/sluice/internal/change"
)

func TestWishes(t *testing.T) {
	var c written
	if err := yaml.Unmarshal([]byte(`
tables:
  - {from: public.people, to: crm.contacts, columns: {key: id, name: full_name}, deletes: hard}
  - {from: public.plain, deletes: hard}
  - {from: public.ours, to: crm.all, columns: {kind: "'ours'", id: number}, deletes: hard}
  - {from: public.theirs, to: crm.all, columns: {kind: "'theirs'", id: id}, deletes: hard}`), &c); err != nil {
		t.Fatal(err)
	}
	c.Name, c.Tables = "billing", c.Entries
	c.SetDefaults()
	got := c.wishes([]Awaited{
		{Schema: "crm", Name: "contacts", Columns: []string{"key"}, Key: []string{"1"}},
		{Schema: "crm", Name: "contacts", Columns: []string{"key"}, Key: []string{"2"}},
		{Schema: "public", Name: "plain", Columns: []string{"a", "b"}, Key: []string{"x", "y"}},
		{Schema: "crm", Name: "all", Columns: []string{"kind", "id"}, Key: []string{"theirs", "7"}},
		{Schema: "crm", Name: "gone", Columns: []string{"id"}, Key: []string{"7"}},
	})
	want := "[{billing public.people [id] [[1] [2]] 0} {billing public.plain [a b] [[x y]] 0} {billing public.theirs [id] [[7]] 0}]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}

// waiting is a destination that waits for rows with the numbers.
type waiting struct {
	Sink
	Awaiter
	rows []int64
}

func (w *waiting) Awaited(_ context.Context, n int) (all []Awaited, err error) {
	for _, r := range w.rows[:min(n, len(w.rows))] {
		all = append(all, Awaited{Number: r, Schema: "public", Name: "t", Columns: []string{"id"}, Key: []string{fmt.Sprint(r)}})
	}
	return all, nil
}

func (w *waiting) CountAwaited(context.Context) (all []AwaitedTable, err error) {
	if len(w.rows) > 0 {
		all = append(all, AwaitedTable{Table: "public.t", Rows: int64(len(w.rows)), Since: time.Now().Add(-time.Minute)})
	}
	return all, nil
}

// finding is a destination that finds and waits for rows, as the breaker and the mappings must leave it.
type finding struct {
	Sink
	Finder
	Awaiter
}

func TestAwaiterBehindBreakerAndMappings(t *testing.T) {
	c := Config{Tables: []Table{{From: "public.t", To: "public.u"}}}
	s, err := Mapped(Guarded(&finding{}, &c, nil, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry())), &c)
	if err != nil {
		t.Fatal(err)
	}
	m := s.(*mapper)
	if _, can := m.Sink.(Awaiter); !can {
		t.Error("rows are not waited for behind the breaker")
	}
	if _, can := m.Sink.(Finder); !can {
		t.Error("rows are not found behind the breaker")
	}
}

// The next rows are asked for when those of the wish before have come, or after long; a wish that cannot be placed is
// placed again.
func TestAskedOneAfterTheOther(t *testing.T) {
	dest := &waiting{rows: []int64{1, 2}}
	placed := make(chan []Wish)
	failing := errors.New("no Kafka")
	fail := make(chan error, 1)
	ask := func(ctx context.Context, wishes []Wish) error {
		select {
		case err := <-fail:
			return err
		case placed <- wishes:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c := Config{Name: "billing", Source: "crm", Tables: []Table{{From: "public.t"}}}
	r := New(c, dest, Deps{Ask: ask, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry())})
	a := r.ask(t.Context())
	defer a.stop()
	var last int64
	want := func(keys string) {
		t.Helper()
		select {
		case wishes := <-placed:
			if len(wishes) != 1 || fmt.Sprint(wishes[0].Keys) != keys || wishes[0].Round <= last {
				t.Errorf("placed %v, want keys %s in a later round", wishes, keys)
			}
			last = wishes[0].Round
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was placed")
		}
	}
	look := func() {
		t.Helper()
		for before := a.at; a.at.Equal(before); { // until the goroutine is ready for it
			if err := a.look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	fail <- failing
	look()
	want("[[1] [2]]")
	dest.rows = []int64{2, 3, 4}
	if err := a.look(t.Context()); err != nil || a.last != 2 {
		t.Fatalf("row 2 has not come, and others were asked for: %v", err)
	}
	dest.rows = []int64{3, 4}
	look()
	want("[[3] [4]]")
	a.at = a.at.Add(-2 * askAgain)
	look()
	want("[[3] [4]]")
}

// A destination that waits for rows is not complete, whatever the checkpoint says, and a sink with a schedule does not
// rest before they have come.
func TestAwaitedRowsAreShown(t *testing.T) {
	dest := &waiting{}
	reg := prometheus.NewRegistry()
	c := Config{Name: "billing", Source: "crm", Tables: []Table{{From: "public.t"}, {From: "public.s", To: "public.u"}}}
	r := New(c, dest, Deps{Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(reg)})
	r.cadence = Cadence{Every: time.Hour}
	at := Checkpoint{Commit: 7, Complete: true, Time: change.Micros(time.Now().UnixMicro())}
	for _, rows := range [][]int64{nil, {1, 2}, nil, {3}} {
		dest.rows = rows
		if _, err := r.lookForAwaited(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.status.applied(at)
		s, whole := r.Status(), len(rows) == 0
		if rests := r.note(at); rests != whole || s.Complete != whole || (len(s.Awaited) == 0) != whole {
			t.Errorf("waits for %v: rests %v, %+v", rows, rests, s)
		}
		err := testutil.GatherAndCompare(reg, strings.NewReader(fmt.Sprintf(`# HELP sluice_awaited_records Rows of which values did not travel and that capture was asked for, by destination table.
# TYPE sluice_awaited_records gauge
sluice_awaited_records{sink="billing",table="public.t"} %d
sluice_awaited_records{sink="billing",table="public.u"} 0
`, len(rows))), "sluice_awaited_records")
		if err != nil {
			t.Error(err)
		}
		if age := oldest(t, reg); age >= 60 == whole || age > 120 {
			t.Errorf("waits for %v: the oldest for %v seconds", rows, age)
		}
	}
}

// oldest gives the greatest age of rows that are waited for.
func oldest(t *testing.T, reg *prometheus.Registry) (age float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "sluice_awaited_oldest_seconds" {
			for _, m := range f.GetMetric() {
				age = max(age, m.GetGauge().GetValue())
			}
		}
	}
	return age
}
