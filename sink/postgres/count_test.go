package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// Rows are counted where they are few and estimated where they are many, in a transaction or without one, and
// partitions together.
func TestCountRows(t *testing.T) {
	d := fresh(t)
	s := d.resumed(t, hard("few", "many", "parts", "absent"))
	d.exec(t, `CREATE TABLE few (id int PRIMARY KEY);
		INSERT INTO few SELECT generate_series(1, 500);
		CREATE TABLE many (id int PRIMARY KEY);
		INSERT INTO many SELECT generate_series(1, 250000);
		CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
		CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (100000);
		CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (100000) TO (1000000);
		INSERT INTO parts SELECT generate_series(1, 250000)`)
	want := func(name string, least, most int64) {
		t.Helper()
		if n, err := s.CountRows(context.Background(), table(name, "id integer")); err != nil || n < least || n > most {
			t.Errorf("%s has %d rows, want %d to %d (%v)", name, n, least, most, err)
		}
	}
	want("absent", 0, 0)
	want("few", 500, 500)
	want("many", 100_000, 250_000) // nobody has looked yet
	d.exec(t, `ANALYZE many;
		ANALYZE parts`)
	want("many", 240_000, 260_000)
	want("parts", 240_000, 260_000)
	few := table("few", "id integer")
	if err := s.Apply(context.Background(), &sink.Batch{Changes: []change.Change{remove(few, "1"), remove(few, "2")}, Open: true}); err != nil {
		t.Fatal(err)
	}
	want("few", 498, 498)
	mustApply(t, s, create(few, "501"))
	want("few", 499, 499)
	d.want(t, "SELECT count(*) FROM few", "499")
}

// The end of a repair is held before it removes much, with the rows that it would remove; approved, it removes
// them.
func TestBreakerHoldsASweep(t *testing.T) {
	d := fresh(t)
	cfg := hard("people")
	cfg.Name, cfg.Source = "copy", "crm"
	cfg.SetDefaults()
	steering := sink.NewSteering()
	steering.Set(sink.Wishes{})
	s := sink.Guarded(d.open(t, cfg), &cfg, steering, slog.New(slog.DiscardHandler), sink.NewMetrics(prometheus.NewRegistry()))
	t.Cleanup(func() { _ = s.Close() })
	resume := func() {
		t.Helper()
		if _, err := s.Resume(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	resume()
	d.exec(t, `CREATE TABLE people (id int PRIMARY KEY, v text);
		INSERT INTO people SELECT g, 'v' FROM generate_series(1, 5000) g`)
	people := table("people", "id integer", "v text")
	var repair []change.Change
	for i := range 3000 {
		c := create(people, itoa(i+1), "v")
		c.Op, c.Keep, c.Early = change.Read, 7, true
		repair = append(repair, c)
	}
	repair = append(repair, change.Change{Op: change.Sweep, Table: people, Keep: 7})
	commits.Add(1)
	for i := range repair {
		repair[i].Commit = lastCommit() + 1
	}
	err := apply(s, repair...)
	var held *sink.HeldError
	if !errors.As(err, &held) || held.Waiting == nil || held.Waiting.Rows != 2000 || held.Waiting.Of != 5000 || len(held.Waiting.Samples) != 10 {
		t.Fatalf("%v: %+v", err, held)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d.want(t, "SELECT count(*) FROM people", "5000")
	d.want(t, "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'people' AND l.pid <> pg_backend_pid()", "0")
	steering.Set(sink.Wishes{Decisions: []sink.Decision{{Verdict: sink.Approve, At: held.At, To: held.Waiting.To, Kind: held.Why}}})
	resume()
	commits.Store(uint64(held.At - 1))
	mustApply(t, s, repair...)
	d.want(t, "SELECT count(*) FROM people", "3000")
}
