package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/internal/change"
)

// Tables that change all the time, between rows and in the middle of transactions, are at the destination
// what they are at the source.
func TestRandomSchemaChanges(t *testing.T) {
	t.Parallel()
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprintf("PostgreSQL %d", version), func(t *testing.T) { randomSchemaChanges(t, version, false, false) })
	}
}

// The same where an event trigger tells capture of each statement: it may read all of them late.
func TestRandomSchemaChangesTold(t *testing.T) {
	t.Parallel()
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprintf("PostgreSQL %d", version), func(t *testing.T) { randomSchemaChanges(t, version, false, true) })
	}
}

// The same, while capture and the sink are killed again and again. Without the trigger, sinks would be held by
// a column that is added while capture is down, to a table that was rewritten or emptied at some time before.
func TestRandomSchemaChangesUnderKills(t *testing.T) {
	t.Parallel()
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprintf("PostgreSQL %d", version), func(t *testing.T) { randomSchemaChanges(t, version, true, true) })
	}
}

func randomSchemaChanges(t *testing.T, version int, kills, told bool) {
	t.Parallel()
	seed := seedOf(t)
	d := newDeployment(t, version, load.EvolvingTables(), func(text string) string {
		text = strings.Replace(text, "tables: ["+strings.Join(load.EvolvingTables(), ", ")+"]", `tables: ["public.evolving_*"]`, 1)
		if told {
			text = strings.Replace(text, "kafka:", "  ddl: trigger\nkafka:", 1)
		}
		return strings.Replace(text, "type: postgres\n", "type: postgres\n    evolve: all\n", 1)
	})
	cfg := load.EvolvingConfig{Config: load.Config{DSN: d.source, Seed: seed, Sessions: 3, PerSecond: 150}, Migrations: migrationsOf(t)}
	if !told {
		cfg.Publication, cfg.Settle = "sluice_"+d.name, d.captureRead
	}
	w := load.NewEvolving(cfg)
	execAt(t, d.destination, load.EvolvingTypes)
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	processes := &pair{d: d, capture: d.start("capture"), sink: d.start("sink", "copy")}
	d.follow(30 * time.Second)
	defer func() { // while capture, which serves the registry, is there
		if t.Failed() {
			d.explain(w)
		}
	}()

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		defer stop()
		done <- w.Run(t.Context())
	}()
	if kills {
		processes.killUntil(ctx, rand.New(rand.NewPCG(seed, 99)))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Log(w.Stats())
	d.follow(90 * time.Second)
	d.same(w.Tables()...)
	d.sameColumns(w.Tables())
	log := d.topicsHold()
	t.Logf("%d records, %d ENDs, %d kills of capture, %d of the sink", len(log.Records), len(log.Ends), processes.kills[0], processes.kills[1])
	d.stop(processes.sink)
	d.stop(processes.capture)
}

// explain logs what was done to the tables, the versions that their topics have, and what is wrong there.
func (d *deployment) explain(w *load.Evolving) {
	d.t.Logf("the statements:\n%s", strings.Join(w.Statements(), "\n"))
	for _, table := range load.EvolvingTables() {
		d.t.Logf("versions of %s:\n%s", table, strings.Join(d.versions(table), "\n"))
	}
	d.topicsHold()
}

// migrationsOf gives SLUICE_MIGRATIONS, for a longer run, or a number for every day.
func migrationsOf(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("SLUICE_MIGRATIONS"))
	if err != nil {
		return 25
	}
	return n
}

// captureRead waits until Kafka holds everything that is committed at the source.
func (d *deployment) captureRead(ctx context.Context) error {
	target, err := change.ParseLSN(scan[string](d.t, d.source, "select pg_current_wal_insert_lsn()::text"))
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s := d.captureStatus(); s.State == "streaming" && s.Durable >= target {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow waits like caughtUp, and fails at once when the sink waits for a person.
func (d *deployment) follow(within time.Duration) {
	d.t.Helper()
	target := scan[string](d.t, d.source, "select pg_current_wal_insert_lsn()::text")
	eventually(d.t, within, "the destination to reach "+target, func() bool {
		for name, reason := range d.heldSinks() {
			d.t.Fatalf("sink %s is held: %s", name, reason)
		}
		return scan[bool](d.t, d.destination, "select to_regclass('sluice.progress') is not null") &&
			scan[bool](d.t, d.destination, "select coalesce(bool_and(complete and commit_lsn >= $1::text::pg_lsn), false) from sluice.progress", target)
	})
}

// sameColumns compares the columns and their types, in whatever order.
func (d *deployment) sameColumns(tables []string) {
	d.t.Helper()
	const columns = `select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attname) from pg_attribute
		where attrelid = $1::text::regclass and attnum > 0 and not attisdropped`
	for _, table := range tables {
		want, got := scan[string](d.t, d.source, columns, table), scan[string](d.t, d.destination, columns, table)
		if want != got {
			d.t.Errorf("%s has the columns\n  %s\nwant\n  %s", table, got, want)
		}
	}
}
