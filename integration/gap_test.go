package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/check"
	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/localpg"
)

// repairing has gaps repaired.
func repairing(s string) string {
	return strings.Replace(s, "kafka:", "  on_gap: reconcile\n  snapshot: {chunk: 64kB}\nkafka:", 1)
}

// repaired waits until the tables of the destination are those of the source after a gap.
func (d *deployment) repaired(at string, tables ...string) {
	d.t.Helper()
	eventually(d.t, 90*time.Second, "the repair", func() bool {
		done := 0
		for _, c := range d.copies() {
			if c.Kind == "repair" && c.State == "done" {
				done++
			}
		}
		return done == len(tables)
	})
	eventually(d.t, 60*time.Second, "the destination to say that it is complete again", func() bool {
		return scan[bool](d.t, d.destination, "select bool_and(complete) from sluice.progress")
	})
	var differences []check.Difference
	deadline := time.Now().Add(60 * time.Second)
	for {
		var err error
		if differences, err = check.Tables(d.t.Context(), at, d.destination, check.Same(tables...)...); err != nil {
			d.t.Fatal(err)
		}
		if len(differences) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, diff := range differences {
				d.t.Error(diff)
			}
			d.t.FailNow()
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// marks gives the gaps that the transaction topic marks.
func (d *deployment) marks() (all []check.End) {
	d.t.Helper()
	for _, e := range d.topicsHold().Ends {
		if e.Status == "GAP" {
			all = append(all, e)
		}
	}
	return all
}

// The slot of a running pipeline is dropped, and rows are deleted, changed and added before there is another:
// the gap is marked and the destination is the source again, while the source is written to and everything
// goes on in one process.
func TestSlotDroppedUnderPipeline(t *testing.T) {
	t.Parallel()
	tables := []string{"public.wide", "public.loose", "public.late", "public.codes"}
	d := newDeployment(t, 15, tables, repairing)
	d.exec(`CREATE SEQUENCE rises`, wideTable, `ALTER TABLE wide ALTER big SET STORAGE EXTERNAL`,
		`INSERT INTO wide SELECT g, 0, repeat(md5(g::text), 1 + 70 * (g % 2)) FROM generate_series(1, 6000) g`,
		`CREATE TABLE loose (n int, v text)`, `ALTER TABLE loose REPLICA IDENTITY FULL`, `INSERT INTO loose SELECT g, 'x' FROM generate_series(1, 3000) g`,
		`CREATE TABLE late (id uuid PRIMARY KEY, v text)`, `INSERT INTO late SELECT md5(g::text)::uuid, repeat('x', 100) FROM generate_series(1, 4000) g`,
		`CREATE TABLE codes (code text PRIMARY KEY, v text)`, `INSERT INTO codes SELECT chr(192 + g % 50) || g, repeat('x', 100) FROM generate_series(1, 4000) g`)
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	writing := make(chan error, 1)
	go func() { writing <- churn(ctx, d.source, seedOf(t)) }()
	for range 2 {
		time.Sleep(2 * time.Second)
		// What is deleted commits after the slot is gone, and before there is another: that waits for us.
		d.exec(fmt.Sprintf(`DO $$ BEGIN
			DELETE FROM wide WHERE id %% 7 = 0; UPDATE wide SET big = 'in the gap', rises = nextval('rises') WHERE id %% 7 = 1; INSERT INTO wide SELECT g, 9, 'new' FROM generate_series(20001, 20100) g ON CONFLICT DO NOTHING;
			DELETE FROM loose WHERE n %% 5 = 0; DELETE FROM late WHERE v LIKE 'x%%' AND random() < 0.3; DELETE FROM codes WHERE random() < 0.3;
			FOR i IN 1..1000 LOOP
				PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'sluice_%[1]s' AND active;
				BEGIN
					PERFORM pg_drop_replication_slot('sluice_%[1]s');
					EXIT;
				EXCEPTION WHEN object_in_use THEN
					PERFORM pg_sleep(0.001);
				END;
			END LOOP; END $$`, d.name))
		if scan[bool](t, d.source, "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active)", "sluice_"+d.name) {
			t.Log("capture had a slot again at once")
		}
	}
	if err := <-writing; err != nil {
		t.Fatal(err)
	}
	d.repaired(d.source, tables...)
	if marks := d.marks(); len(marks) != 2 {
		t.Errorf("%d gaps are marked, want 2: %+v", len(marks), marks)
	}
	d.stop(sink)
	d.stop(capture)
}

// A standby without a copy of the slot, which lacks the last transactions, is promoted: Kafka holds what the
// source has not any more. The gap is marked with its positions, and the destination is what the source is now.
func TestFailoverWithoutSlot(t *testing.T) {
	t.Parallel()
	primary := harness.Postgres(t, harness.Options{Version: 18})
	standby := primary.Standby()
	d := newDeployment(t, 18, []string{oneTable}, repairing)
	primary.CreateDatabase("app")
	d.source = either(primary, standby)
	execAt(t, strings.Replace(standby.DSN("app"), "/app", "/postgres", 1), "alter system set sync_replication_slots = off", "select pg_reload_conf()")
	d.exec("create table t (id int primary key, v text)", "insert into t select i, 'first' from generate_series(1, 5000) i")
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	eventually(t, 30*time.Second, "the standby to have the table", func() bool {
		return scan[bool](t, standby.DSN("app"), "select to_regclass('t') is not null and (select pubname is not null from pg_publication limit 1)") &&
			scan[int](t, standby.DSN("app"), "select count(*)::int from t") == 5000
	})
	standby.Stop(localpg.Fast)
	d.exec("insert into t select i, 'lost' from generate_series(5001, 9000) i", "update t set v = 'lost' where id < 50", "delete from t where id % 7 = 0")
	d.caughtUp(60 * time.Second)
	primary.Kill()
	standby.Start()
	scan[bool](t, standby.DSN("app"), "select pg_promote()")
	now := standby.DSN("app")
	eventually(t, 30*time.Second, "the standby to be promoted", func() bool { return !scan[bool](t, now, "select pg_is_in_recovery()") })
	execAt(t, now, "insert into t select i, 'after' from generate_series(8000, 8100) i", "delete from t where id < 20")
	d.repaired(now, oneTable)
	execAt(t, now, "update t set v = 'goes on' where id = 8000")
	eventually(t, 30*time.Second, "the stream to go on", func() bool {
		return scan[int](t, d.destination, "select count(*)::int from t where v = 'goes on'") == 1
	})
	d.stop(capture)
	capture = d.start("capture")
	execAt(t, now, "update t set v = 'goes on' where id = 8001")
	eventually(t, 30*time.Second, "the stream to go on after a start", func() bool {
		return scan[int](t, d.destination, "select count(*)::int from t where v = 'goes on'") == 2
	})
	d.repaired(now, oneTable)
	if marks := d.marks(); len(marks) != 1 {
		t.Errorf("%d gaps are marked, want 1: %+v", len(marks), marks)
	}
	d.stop(sink)
	d.stop(capture)
}
