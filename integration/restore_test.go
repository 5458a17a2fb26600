package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/localpg"
	"github.com/sluicecdc/sluice/schemas"
)

// The source is restored from a copy of its files, slot included, while the pipeline runs, and once more while
// capture is stopped, with so much written since that the log is longer than what was captured. What Kafka holds
// and the source does not is undone at the destination.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	tables := []string{"public.items", "public.loose"}
	pg := harness.Postgres(t, harness.Options{Version: 15})
	pg.CreateDatabase("app")
	d := newDeployment(t, 15, tables, repairing)
	d.source = pg.DSN("app")
	d.exec(`CREATE TABLE items (id int PRIMARY KEY, v text)`, `INSERT INTO items SELECT g, 'old' FROM generate_series(1, 5000) g`,
		`CREATE TABLE loose (n int, v text)`, `ALTER TABLE loose REPLICA IDENTITY FULL`, `INSERT INTO loose SELECT g, 'old' FROM generate_series(1, 500) g`)
	change := func(what string) {
		d.exec(fmt.Sprintf(`UPDATE items SET v = '%s' WHERE id %% 5 = 0`, what), `DELETE FROM items WHERE id IN (SELECT id FROM items ORDER BY random() LIMIT 500)`,
			fmt.Sprintf(`INSERT INTO items SELECT max(id) + g, '%s' FROM items, generate_series(1, 300) g GROUP BY g`, what),
			fmt.Sprintf(`INSERT INTO loose SELECT g, '%s' FROM generate_series(1, 100) g`, what), `DELETE FROM loose WHERE n % 7 = 0`)
	}
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	pg.Backup()
	change("lost")
	d.caughtUp(60 * time.Second)
	pg.Restore()
	change("first")
	d.repaired(d.source, tables...)

	pg.Backup()
	change("lost again")
	eventually(t, 60*time.Second, "the changes at the destination", func() bool {
		return scan[bool](t, d.destination, "SELECT EXISTS (SELECT FROM items WHERE v = 'lost again') AND EXISTS (SELECT FROM loose WHERE v = 'lost again')")
	})
	d.stop(capture)
	pg.Restore()
	for range 5 {
		change("second")
	}
	capture = d.start("capture")
	d.repaired(d.source, tables...)
	change("third")
	d.repaired(d.source, tables...)
	if marks := d.marks(); len(marks) != 2 {
		t.Errorf("%d gaps are marked, want 2: %+v", len(marks), marks)
	}
	d.stop(sink)
	d.stop(capture)
}

// deleteTopic deletes a topic of Kafka, as a person does by mistake.
func (d *deployment) deleteTopic(name string) {
	d.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(d.brokers...))
	if err != nil {
		d.t.Fatal(err)
	}
	defer client.Close()
	r := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	r.TopicNames, r.Topics = []string{name}, []kmsg.DeleteTopicsRequestTopic{topic}
	a, err := r.RequestWith(d.t.Context(), client)
	if err != nil || a.Topics[0].ErrorCode != 0 {
		d.t.Fatalf("cannot delete topic %s: %v %+v", name, err, a)
	}
	time.Sleep(time.Second) // brokers forget it a little later
}

// The state topic is deleted: capture says so and stops; told to repair, it does.
func TestStateTopicDeleted(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 18, []string{oneTable}, nil)
	d.exec("create table t (id int primary key, v text)", "insert into t select i, 'first' from generate_series(1, 5000) i")
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	d.awaitFirst(oneTable)
	d.stop(capture)
	d.deleteTopic(schemas.StateTopic(d.name))
	d.exec("delete from t where id % 3 = 0")
	out := d.fails(1, "capture")
	says(t, out, schemas.StateTopic(d.name)+" holds nothing")
	says(t, out, "on_gap: reconcile")
	d.edit("kafka:", "  on_gap: reconcile\nkafka:")
	capture = d.start("capture")
	d.exec("update t set v = 'second' where id < 100")
	d.repaired(d.source, oneTable)
	if marks := d.marks(); len(marks) != 1 {
		t.Errorf("%d gaps are marked, want 1: %+v", len(marks), marks)
	}
	d.stop(sink)
	d.stop(capture)
}

// A standby with a copy of the slot is promoted that lacks the last transactions, which Kafka holds, and is written
// to until its log is longer than what was captured.
func TestFailoverBehindKafka(t *testing.T) {
	if os.Getenv("SLUICE_FAULTS") == "" {
		t.Skip("PostgreSQL takes half a minute to copy a slot: make faults runs it")
	}
	primary := harness.Postgres(t, harness.Options{Version: 18})
	standby := primary.Standby()
	d := newDeployment(t, 18, []string{oneTable}, repairing)
	primary.CreateDatabase("app")
	d.source = either(primary, standby)
	slot := "sluice_" + d.name
	d.exec("create table t (id int primary key, v text)", "insert into t select i, 'first' from generate_series(1, 5000) i")
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	eventually(t, 60*time.Second, "the standby to have a copy of the slot", func() bool {
		d.exec("insert into t select max(id) + 1, 'moves the log' from t")
		return scan[bool](t, standby.DSN("app"), "select coalesce(bool_or(synced and not temporary and invalidation_reason is null), false) from pg_replication_slots where slot_name = $1", slot)
	})
	standby.Stop(localpg.Fast)
	d.exec("insert into t select i, 'lost' from generate_series(7001, 9000) i", "update t set v = 'lost' where id < 50", "delete from t where id % 7 = 0")
	d.caughtUp(60 * time.Second)
	d.stop(capture)
	primary.Kill()
	standby.Start()
	now := standby.DSN("app")
	scan[bool](t, now, "select pg_promote()")
	eventually(t, 30*time.Second, "the standby to be promoted", func() bool { return !scan[bool](t, now, "select pg_is_in_recovery()") })
	execAt(t, now, "insert into t select i, repeat('after', 100) from generate_series(8000, 15000) i", "delete from t where id < 20")
	capture = d.start("capture")
	d.repaired(now, oneTable)
	execAt(t, now, "update t set v = 'goes on' where id = 8000")
	d.repaired(now, oneTable)
	marks := d.marks()
	if len(marks) != 1 || !strings.Contains(marks[0].Reason, "a standby took over that had not received everything") {
		t.Errorf("want one gap, got %+v", marks)
	}
	d.stop(sink)
	d.stop(capture)
}

// Slots are lost, and capture and the sink are killed at every moment of the repairs, among writes.
func TestGapsUnderKills(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	tables := []string{"public.wide", "public.loose", "public.late"}
	d := newDeployment(t, 15, tables, func(s string) string { return strings.Replace(repairing(s), "chunk: 64kB", "chunk: 16kB", 1) })
	d.exec(`CREATE SEQUENCE rises`, wideTable, `ALTER TABLE wide ALTER big SET STORAGE EXTERNAL`,
		`INSERT INTO wide SELECT g, 0, repeat(md5(g::text), 1 + 70 * (g % 2)) FROM generate_series(1, 6000) g`,
		`CREATE TABLE loose (n int, v text)`, `ALTER TABLE loose REPLICA IDENTITY FULL`, `INSERT INTO loose SELECT g, 'x' FROM generate_series(1, 3000) g`,
		`CREATE TABLE late (id uuid PRIMARY KEY, v text)`, `INSERT INTO late SELECT md5(g::text)::uuid, repeat('x', 100) FROM generate_series(1, 4000) g`)
	processes := &pair{d: d, capture: d.start("capture"), sink: d.start("sink", "copy")}
	d.caughtUp(60 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	writing, losing := make(chan error, 1), make(chan int, 1)
	go func() { writing <- churn(ctx, d.source, seed) }()
	go func() { losing <- d.loseSlots(ctx, rand.New(rand.NewPCG(seed, 5))) }()
	processes.killUntil(ctx, rand.New(rand.NewPCG(seed, 6)))
	if err := <-writing; err != nil {
		t.Fatal(err)
	}
	lost := <-losing
	d.repaired(d.source, tables...)
	marks := d.marks()
	t.Logf("%d slots lost, %d gaps marked, %d kills of capture, %d of the sink", lost, len(marks), processes.kills[0], processes.kills[1])
	if len(marks) == 0 {
		t.Error("no gap is marked")
	}
	d.stop(processes.sink)
	d.stop(processes.capture)
}

// loseSlots drops the slot at random moments, with rows that are deleted before there is another.
func (d *deployment) loseSlots(ctx context.Context, random *rand.Rand) (lost int) {
	for {
		select {
		case <-time.After(time.Duration(1000+random.IntN(4000)) * time.Millisecond):
		case <-ctx.Done():
			return lost
		}
		// A connection that is waited for, or killed with its process, may keep the slot: then it is not lost this time.
		ok := scan[bool](d.t, d.source, "SELECT count(pg_terminate_backend(active_pid)) >= 0 FROM pg_replication_slots WHERE slot_name = $1 AND active", "sluice_"+d.name)
		if ok && scan[bool](d.t, d.source, `WITH gone AS (SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active) SELECT EXISTS (SELECT FROM gone)`, "sluice_"+d.name) {
			lost++
			d.exec("DELETE FROM wide WHERE id % 11 = 3", "DELETE FROM late WHERE random() < 0.05", "DELETE FROM loose WHERE n % 13 = 1")
		}
	}
}
