package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/integration/check"
	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/localpg"
)

// A standby with a copy of the slot is promoted after the primary was killed among writes: capture follows
// it by its connection string and goes on without a gap, and nothing is in Kafka that the new primary lacks.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary := harness.Postgres(t, harness.Options{Version: 18})
	standby := primary.Standby()
	d := newDeployment(t, 18, []string{oneTable}, nil)
	primary.CreateDatabase("app")
	old := primary.DSN("app")
	d.source = either(primary, standby)
	d.exec("create table t (id int primary key, v text)", "insert into t select i, 'first' from generate_series(1, 100) i",
		"alter system set synchronized_standby_slots = '"+localpg.StandbySlot+"'", "select pg_reload_conf()")
	slot := "sluice_" + d.name
	capture := d.start("capture")
	d.start("sink")
	d.caughtUp(60 * time.Second)
	d.stop(capture)
	asBefore(t, old, slot)
	d.start("capture")
	d.exec("insert into t values (1000, 'the slot is marked')")
	d.caughtUp(60 * time.Second)
	if out, status := d.command("check"); status != 0 || !strings.Contains(out, "is never behind what Kafka has") {
		t.Errorf("check: exit %d with\n%s", status, out)
	}
	eventually(t, 60*time.Second, "the standby to have a copy of the slot", func() bool {
		d.exec("insert into t select max(id) + 1, 'moves the log' from t")
		return scan[bool](t, standby.DSN("app"), "select coalesce(bool_or(synced and not temporary and invalidation_reason is null), false) from pg_replication_slots where slot_name = $1", slot)
	})
	d.exec("insert into t select max(id) + i, 'before' from t, generate_series(1, 500) i group by i", "update t set v = 'changed' where id < 50", "delete from t where id % 7 = 0")
	primary.Kill()
	scan[bool](t, standby.DSN("app"), "select pg_promote()")
	eventually(t, 30*time.Second, "the standby to be promoted", func() bool {
		return !scan[bool](t, standby.DSN("app"), "select pg_is_in_recovery()")
	})
	d.source = standby.DSN("app")
	d.exec("insert into t select max(id) + i, 'after' from t, generate_series(1, 100) i group by i", "update t set v = 'again' where id < 20")
	d.caughtUp(60 * time.Second)
	d.same(oneTable)
	d.topicsHold()
}

// either is the connection string of whichever of two servers takes writes.
func either(primary, standby *harness.PG) string {
	return strings.Replace(primary.DSN("app"), fmt.Sprintf(":%d/", primary.Port()), fmt.Sprintf(":%d,127.0.0.1:%d/", primary.Port(), standby.Port()), 1) + "&target_session_attrs=read-write"
}

// asBefore makes a slot what it was on PostgreSQL 16: one that standbys keep no copy of.
func asBefore(t *testing.T, dsn, slot string) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn+"&replication=database")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "ALTER_REPLICATION_SLOT "+slot+" (FAILOVER false)").ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// Capture reads a standby: rows from before, changes, and nothing of it is held up by the primary.
func TestCaptureFromStandby(t *testing.T) {
	t.Parallel()
	primary := harness.Postgres(t, harness.Options{Version: 18})
	primary.CreateDatabase("app")
	standby := primary.Standby()
	d := newDeployment(t, 18, []string{oneTable}, nil)
	at := primary.DSN("app")
	d.source = standby.DSN("app")
	execAt(t, at, "create table t (id int primary key, v text)", "insert into t select i, repeat('x', 1000) from generate_series(1, 10000) i")
	eventually(t, 30*time.Second, "the table on the standby", func() bool { return scan[bool](t, d.source, "select to_regclass('t') is not null") })
	if out := d.fails(1, "capture"); !strings.Contains(out, "CREATE PUBLICATION") {
		t.Errorf("without a publication: %s", out)
	}
	execAt(t, at, "create publication sluice_"+d.name+" for table only t with (publish_via_partition_root = true, publish_generated_columns = stored)")
	capture := d.start("capture")
	sink := d.start("sink")
	n := 0
	eventually(t, 40*time.Second, "the rows of the primary at the destination", func() bool {
		// A slot on a standby waits for the primary to say what runs there.
		n++
		execAt(t, at, "select pg_log_standby_snapshot()", fmt.Sprintf("insert into t values (%d, 'new')", 100_000+n), "update t set v = v || '.' where id % 1000 = 1",
			fmt.Sprintf("delete from t where id = %d", n))
		return scan[bool](t, d.destination, "select to_regclass('t') is not null") && scan[int](t, d.destination, "select count(*)::int from t") >= 10_000 && n > 20
	})
	eventually(t, 60*time.Second, "both to be the same", func() bool {
		differences, err := check.Tables(t.Context(), at, d.destination, check.Same(oneTable)...)
		return err == nil && len(differences) == 0
	})
	d.topicsHold()

	// It is promoted: heartbeats are its own from then on, and nothing of what was confirmed is taken for a gap.
	primary.Kill()
	scan[bool](t, d.source, "select pg_promote()")
	eventually(t, 30*time.Second, "the standby to be promoted", func() bool { return !scan[bool](t, d.source, "select pg_is_in_recovery()") })
	d.exec("update t set v = 'promoted' where id % 100 = 1")
	d.caughtUp(60 * time.Second)
	d.same(oneTable)
	d.stop(capture)
	capture = d.start("capture")
	d.exec("update t set v = 'restarted' where id % 100 = 1")
	d.caughtUp(60 * time.Second)
	d.same(oneTable)
	d.topicsHold()
	d.stop(sink)
	d.stop(capture)
}
