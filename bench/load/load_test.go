package load_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/harness"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func ask(t *testing.T, conn *pgx.Conn, sql string) (answer string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func TestOrdersFollowFromTheSeed(t *testing.T) {
	const digest = "select md5(string_agg(o::text, ',' order by id)) from orders o"
	var sums []string
	for _, orders := range []load.Orders{{Seed: 7, First: 1, Rows: 5000}, {Seed: 7, First: 1, Rows: 5000, Commit: 1000}, {Seed: 8, First: 1, Rows: 5000}} {
		conn := connect(t, harness.SharedPostgres(t, 15).NewDatabase())
		if err := load.CreateOrders(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		if err := orders.Insert(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, ask(t, conn, digest))
	}
	if sums[0] != sums[1] || sums[0] == sums[2] {
		t.Errorf("digests %v: want the first two equal, the third different", sums)
	}
}

func TestOrdersCommitAsTold(t *testing.T) {
	conn := connect(t, harness.SharedPostgres(t, 15).NewDatabase())
	if err := load.CreateOrders(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	insert := load.Orders{Seed: 1, First: 1, Rows: 2500, Commit: 1000}
	if err := insert.Insert(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, conn, "select count(distinct xmin::text)::text from orders"); got != "3" {
		t.Errorf("2500 rows came in %s transactions, want 3", got)
	}
	update := load.Orders{First: 1, Rows: 50, Commit: 1}
	if err := update.Update(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, conn, "select count(distinct xmin::text)::text from orders where id <= 50"); got != "50" {
		t.Errorf("50 rows were updated in %s transactions, want 50", got)
	}
	t.Log(ask(t, conn, "select o::text from orders o where note is not null limit 1"))
	t.Log(ask(t, conn, "select min(amount)||' '||max(amount)||' '||avg(pg_column_size(o)) from orders o"))
}

// TestWorkloadRepeats runs one session twice: alone, all that it does follows from the seed.
func TestWorkloadRepeats(t *testing.T) {
	var states [2]string
	for i := range states {
		dsn := harness.SharedPostgres(t, 15).NewDatabase()
		w := load.New(load.Config{DSN: dsn, Seed: 42, Sessions: 1, Transactions: 300})
		if err := w.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		conn := connect(t, dsn)
		for _, table := range load.Tables() {
			states[i] += ask(t, conn, fmt.Sprintf(`select count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') from %s t`, table.Name)) + "\n"
		}
		t.Log(w.Stats())
	}
	if states[0] != states[1] {
		t.Errorf("the same seed gave\n%s\nand\n%s", states[0], states[1])
	}
}

func TestWorkloadKeepsTheSumAndDoesEverything(t *testing.T) {
	dsn := harness.SharedPostgres(t, 18).NewDatabase()
	w := load.New(load.Config{DSN: dsn, Seed: 1, Transactions: 200})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, dsn)
	if got, want := ask(t, conn, "select ("+load.SumQuery+")::text"), fmt.Sprint(load.Sum); got != want {
		t.Errorf("the balances add up to %s, want %s", got, want)
	}
	for _, table := range load.Tables() {
		if ask(t, conn, "select count(*)::text from "+table.Name) == "0" && !table.Truncated {
			t.Errorf("table %s is empty at the end", table.Name)
		}
	}
	stats := w.Stats()
	if stats.Committed == 0 || stats.RolledBack == 0 || stats.Truncates == 0 || stats.Savepoints == 0 {
		t.Errorf("something never happened: %v", stats)
	}
	t.Log(stats)
}

func TestWorkloadStopsAndSurvivesARestart(t *testing.T) {
	pg := harness.Postgres(t, harness.Options{Version: 15})
	w := load.New(load.Config{DSN: pg.NewDatabase(), Seed: 3})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	until(t, func() bool { return w.Stats().Committed > 50 })
	pg.Kill9()
	pg.Start()
	before := w.Stats().Committed
	until(t, func() bool { return w.Stats().Committed > before+50 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	t.Log(w.Stats())
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	limit := time.After(60 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it did not happen within a minute")
		}
	}
}

// TestEvolvingRepeats runs migrations among writers twice: they follow from the seed, whatever the writers do.
func TestEvolvingRepeats(t *testing.T) {
	var statements [2]string
	for i := range statements {
		dsn := harness.SharedPostgres(t, 18).NewDatabase()
		e := load.NewEvolving(load.EvolvingConfig{Config: load.Config{DSN: dsn, Seed: 1, Sessions: 2, PerSecond: 100}, Migrations: 40})
		if err := e.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := e.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		statements[i] = strings.Join(e.Statements(), "\n")
		conn := connect(t, dsn)
		for _, table := range e.Tables() {
			if ask(t, conn, "select count(*)::text from "+table) == "0" {
				t.Errorf("table %s is empty at the end", table)
			}
		}
		if stats := e.Stats(); stats.Committed == 0 {
			t.Errorf("writers committed nothing: %v", stats)
		}
	}
	if statements[0] != statements[1] {
		t.Errorf("the same seed gave\n%s\nand\n%s", statements[0], statements[1])
	}
	for _, what := range []string{"add column", "drop column", "rename c", " type ", "drop constraint", "replica identity", "rename to evolving", "partition of", "attach partition",
		"detach partition", "drop table", "create table", "add value", "truncate", "savepoint", "rollback"} {
		if !strings.Contains(statements[0], what) {
			t.Errorf("%q never happened", what)
		}
	}
}
