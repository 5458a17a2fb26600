package capture

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
)

// refused runs a capture that must end with an error that holds all of the words.
func refused(t *testing.T, cfg Config, r *recorder, words ...string) {
	t.Helper()
	err := start(t, cfg, r).end()
	if err == nil {
		t.Fatal("it ran")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
}

func TestGaps(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(1)
		c.awaitState(StateStreaming)
		c.finish()
		slot := c.cfg.Slot

		renamed := cfg
		renamed.Slot = slot + "_b"
		refused(t, renamed, r, "source.slot is "+slot+"_b", r.Durable().String())

		d.run(`SELECT pg_drop_replication_slot('` + slot + `')`)
		refused(t, cfg, r, "the slot is gone", slot, r.Durable().String(), "sluice teardown")
		if n := d.ask(`SELECT count(*)::text FROM pg_replication_slots WHERE database = current_database()`); n != "0" {
			t.Errorf("%s slots were made: the next start would not see the gap", n)
		}

		d.run(`DELETE FROM a`)
		d.run(`SELECT pg_create_logical_replication_slot('` + slot + `', 'pgoutput')`)
		refused(t, cfg, r, "which nobody confirmed to it", "on_gap: reconcile")

		was := r.journal[ledgerKey]
		r.journal[ledgerKey] = []byte(strings.Replace(string(was), `"system_id":"`, `"system_id":"9`, 1))
		refused(t, cfg, r, "another cluster")
		delete(r.journal, ledgerKey)
		refused(t, cfg, r, "it was deleted or truncated")
		r.journal[ledgerKey] = was
		r.durable += 1 << 40
		refused(t, cfg, r, "the log of the source ends at")
	})
}

// TestLostSlot has PostgreSQL remove log that the slot needs.
func TestLostSlot(t *testing.T) {
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprint("PostgreSQL ", version), func(t *testing.T) {
			pg := harness.Postgres(t, harness.Options{Version: version, Settings: map[string]string{"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}})
			cfg := Config{Name: "lost", DSN: pg.NewDatabase(), Tables: []string{"public.a"}}
			d := connect(t, cfg.DSN)
			d.run(`CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2)`)
			r := newRecorder(t)
			c := start(t, cfg, r)
			r.await(2)
			c.awaitCopies()
			c.finish()
			d.run(`DELETE FROM a WHERE id = 1`)
			eventually(t, "the slot to be lost", func() bool {
				d.run(`SELECT pg_logical_emit_message(true, 'x', repeat('x', 1000)) FROM generate_series(1, 20000)`)
				d.run(`SELECT pg_switch_wal()`)
				d.run(`CHECKPOINT`)
				return d.ask(`SELECT wal_status FROM pg_replication_slots`) == "lost"
			})
			refused(t, cfg, r, "wal_status is lost", r.Durable().String())
			cfg.OnGap = GapReconcile
			c = start(t, cfg, r)
			c.awaitCopies()
			d.run(`INSERT INTO a VALUES (3)`)
			expectLast(t, r.awaitThat(func(all []string) bool { return slices.Contains(all, "c a after(id:3)") }), "c a after(id:3)")
			c.finish()
		})
	}
}

// TestLogBeginsAgain has a source whose log ends before what was captured of it: positions go on above, what
// is confirmed is of the log, and the next start goes on without a gap.
func TestLogBeginsAgain(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)`)
		cfg.OnGap = GapReconcile
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(1)
		c.awaitCopies()
		c.finish()
		r.durable += 1 << 40
		r.reached = r.durable
		before := len(r.groups)
		c = start(t, cfg, r)
		r.await(2)
		c.awaitCopies()
		d.run(`INSERT INTO a VALUES (2)`)
		expect(t, r.await(3), []string{"r a after(id:1)", "r a after(id:1)", "c a after(id:2)"})
		at := d.ask(`SELECT pg_current_wal_lsn()::text`)
		eventually(t, "the slot to be told", func() bool {
			return d.ask(`SELECT (confirmed_flush_lsn > $1::pg_lsn)::text FROM pg_replication_slots WHERE slot_name = $2`, at, c.cfg.Slot) == "true"
		})
		c.finish()
		if g := r.groups[before]; g.Gap == nil || g.Gap.To <= g.Gap.From || g.Repair == nil {
			t.Errorf("the first group after the gap is %+v", g.Group)
		}
		marks := len(r.groups)
		c = start(t, cfg, r)
		d.run(`INSERT INTO a VALUES (3)`)
		expectLast(t, r.await(4), "c a after(id:3)")
		c.finish()
		for _, g := range r.groups[marks:] {
			if g.Gap != nil {
				t.Errorf("a second gap: %+v", g.Gap)
			}
		}
	})
}

// TestForkedLog restores a source from a copy of its files, slot included, and writes to it until its log is longer
// than what was captured: positions and timeline are those of before, and only the transactions tell.
func TestForkedLog(t *testing.T) {
	t.Run("while capture is stopped", func(t *testing.T) { forkLog(t, 15, false) })
	t.Run("while capture runs", func(t *testing.T) { forkLog(t, 18, true) })
}

func forkLog(t *testing.T, version int, alive bool) {
	pg := harness.Postgres(t, harness.Options{Version: version})
	pg.CreateDatabase("app")
	cfg := Config{Name: "fork", DSN: pg.DSN("app"), Tables: []string{"public.a"}}
	d := connect(t, cfg.DSN)
	d.run(`CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)`)
	r := newRecorder(t)
	c := start(t, cfg, r)
	r.await(1)
	c.awaitCopies()
	c.finish()
	pg.Backup()
	d = connect(t, cfg.DSN)
	c = start(t, cfg, r)
	d.run(`INSERT INTO a VALUES (2)`)
	r.await(2)
	if !alive {
		c.finish()
	}
	// What is written first after the restore has the same LSN and the same transaction id as what is lost.
	r.mu.Lock()
	r.stall = make(chan struct{}) // nothing of the restored log comes before it is long enough
	r.mu.Unlock()
	pg.Restore()
	d = connect(t, cfg.DSN)
	d.run(`INSERT INTO a VALUES (3)`)
	d.run(`SELECT pg_logical_emit_message(true, 'x', repeat('x', 100)) FROM generate_series(1, 1000)`)
	r.mu.Lock()
	close(r.stall)
	r.stall = nil
	r.mu.Unlock()
	if alive {
		if err := c.end(); err == nil || !strings.Contains(err.Error(), "which Kafka holds") {
			t.Fatalf("capture ended with %v", err)
		}
	}
	at := d.ask(`SELECT confirmed_flush_lsn::text FROM pg_replication_slots`)
	refused(t, cfg, r, "does not hold transaction", "which Kafka holds", "on_gap: reconcile")
	if now := d.ask(`SELECT confirmed_flush_lsn::text FROM pg_replication_slots`); now != at {
		t.Errorf("the slot moved from %s to %s: the next start would not see the gap", at, now)
	}
	cfg.OnGap = GapReconcile
	c = start(t, cfg, r)
	r.awaitThat(func(all []string) bool { // the log that there is, and the row that no log holds any more
		return slices.Contains(all, "c a after(id:3)") && slices.Index(all[1:], "r a after(id:1)") >= 0
	})
	c.finish()
	c = start(t, cfg, r) // no second gap
	d.run(`INSERT INTO a VALUES (5)`)
	expectLast(t, r.awaitThat(func(all []string) bool { return slices.Contains(all, "c a after(id:5)") }), "c a after(id:5)")
	c.finish()
}

// TestPublicationMadeAgain drops the publication under the slot, with a change before there is another.
func TestPublicationMadeAgain(t *testing.T) {
	for _, alive := range []bool{false, true} {
		onEach(t, func(t *testing.T, cfg Config, d *db) {
			d.run(`CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)`)
			r := newRecorder(t)
			c := start(t, cfg, r)
			r.await(1)
			c.awaitCopies()
			if !alive {
				c.finish()
			}
			name := c.cfg.Publication
			d.run(`DROP PUBLICATION ` + name)
			d.run(`INSERT INTO a VALUES (2)`)
			if alive {
				c.surveySoon()
				if err := c.end(); err == nil || !strings.Contains(err.Error(), "was dropped and made again") {
					t.Errorf("capture ended with %v", err)
				}
			} else {
				d.run(`CREATE PUBLICATION ` + name + ` FOR TABLE a WITH (publish_via_partition_root)`)
			}
			d.run(`INSERT INTO a VALUES (3)`)
			refused(t, cfg, r, "was dropped and made again", "on_gap: reconcile")
			cfg.OnGap = GapReconcile
			c = start(t, cfg, r)
			got := r.awaitThat(func(all []string) bool {
				return slices.Contains(all, "r a after(id:2)") && slices.Contains(all, "r a after(id:3)")
			})
			if slices.Index(got[1:], "r a after(id:1)") < 0 {
				t.Errorf("not every row came again: %q", got)
			}
			d.run(`DROP PUBLICATION ` + name)
			d.run(`INSERT INTO a VALUES (4)`)
			c.surveySoon()
			r.awaitThat(func(all []string) bool { return slices.Contains(all, "r a after(id:4)") })
			c.finish()
		})
	}
}

func expectLast(t testing.TB, got []string, want string) {
	t.Helper()
	if last := got[len(got)-1]; last != want {
		t.Errorf("the last change is %s, want %s", last, want)
	}
}

func TestSnapshotNever(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (0)`)
		cfg.Snapshot.Mode = SnapshotNever
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		d.run(`INSERT INTO a VALUES (1)`)
		expectIDs(t, r.await(1), 1)
		c.finish()
		c = start(t, cfg, r)
		c.awaitState(StateStreaming)
		d.run(`INSERT INTO a VALUES (2)`)
		expectIDs(t, r.await(2), 2)
		c.finish()
	})
}

func TestRefusals(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		r := newRecorder(t)
		with := func(tables ...string) Config { c := cfg; c.Tables = tables; return c }
		d.run(`CREATE TABLE bare (a int); CREATE VIEW v AS SELECT 1; CREATE UNLOGGED TABLE u (id int PRIMARY KEY);
			CREATE TABLE "Odd.Name" (id int PRIMARY KEY)`)
		refused(t, with("public.bare"), r, `ALTER TABLE "public"."bare" REPLICA IDENTITY FULL`)
		refused(t, with("public.nothere"), r, "there is no table public.nothere")
		refused(t, with("nothere.*"), r, "no table fits nothere.*")
		refused(t, with("public.v"), r, "is a view")
		refused(t, with("public.u"), r, "SET LOGGED")

		all := with(`public."Odd.Name"`)
		all.Publication = "everything"
		d.run(`CREATE PUBLICATION everything FOR ALL TABLES`)
		refused(t, all, r, "FOR ALL TABLES", "source.publication")
	})
}

func TestPrivileges(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
		role := harness.Unique("role")
		d.run(`CREATE ROLE ` + role + ` LOGIN`)
		t.Cleanup(func() { d.run(`DROP OWNED BY ` + role + `; DROP ROLE ` + role) })
		cfg.DSN = strings.Replace(cfg.DSN, "postgres://postgres", "postgres://"+role, 1)
		if !strings.Contains(cfg.DSN, role) {
			t.Fatalf("the DSN is %s", cfg.DSN)
		}
		r := newRecorder(t)
		refused(t, cfg, r, "CREATE PUBLICATION", "GRANT CREATE ON DATABASE", `FOR TABLE ONLY "public"."a"`)
		finding(t, cfg, "ALTER ROLE", "as the owner of the tables run: CREATE PUBLICATION", `GRANT SELECT ON "public"."a"`)
		version, err := strconv.Atoi(d.ask(`SELECT current_setting('server_version_num')`))
		if err != nil {
			t.Fatal(err)
		}
		d.run(`CREATE PUBLICATION ` + New(cfg, nil, logger(t), nil).cfg.Publication + ` FOR TABLE a WITH (` + (&source{version: version}).publicationOptions() + `)`)
		refused(t, cfg, r, "ALTER ROLE \""+role+"\" REPLICATION")
		d.run(`ALTER ROLE ` + role + ` REPLICATION`)
		refused(t, cfg, r, `GRANT SELECT ON "public"."a" TO "`+role+`"`)
		d.run(`GRANT SELECT ON a TO ` + role)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		r.awaitHeartbeats(1)
		c.finish()
	})
}

// finding wants findings whose fixes hold the words.
func finding(t *testing.T, cfg Config, words ...string) {
	t.Helper()
	ctx, cancel := within()
	defer cancel()
	var fixes []string
	for _, f := range Check(ctx, cfg) {
		if !f.OK && !f.Warning {
			fixes = append(fixes, f.Fix)
		}
		if f.OK == (f.Fix != "") {
			t.Errorf("%+v: a fix belongs to a fault", f)
		}
	}
	all := strings.Join(fixes, "\n")
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("no finding says %q:\n%s", w, all)
		}
	}
	if len(words) == 0 && len(fixes) > 0 {
		t.Errorf("there are faults:\n%s", all)
	}
}

func TestCheckAndTeardown(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		ctx, cancel := within()
		defer cancel()
		d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
		finding(t, cfg)
		if n := d.ask(`SELECT (SELECT count(*) FROM pg_publication)::text`); n != "0" {
			t.Error("check made a publication")
		}
		c := start(t, cfg, newRecorder(t))
		c.awaitState(StateStreaming)
		finding(t, cfg)
		if _, err := Teardown(ctx, cfg); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("teardown of a slot in use gave %v", err)
		}
		c.finish()
		eventually(t, "an idle slot", func() bool {
			return d.ask(`SELECT count(*)::text FROM pg_replication_slots WHERE active AND database = current_database()`) == "0"
		})
		for _, want := range []int{2, 0} {
			if dropped, err := Teardown(ctx, cfg); err != nil || len(dropped) != want {
				t.Errorf("teardown dropped %v: %v", dropped, err)
			}
		}
	})
}

func TestWALLevel(t *testing.T) {
	pg := harness.Postgres(t, harness.Options{Version: 15, Settings: map[string]string{"wal_level": "replica"}})
	cfg := Config{Name: "level", DSN: pg.NewDatabase(), Tables: []string{"public.a"}}
	connect(t, cfg.DSN).run(`CREATE TABLE a (id int PRIMARY KEY)`)
	finding(t, cfg, "ALTER SYSTEM SET wal_level = logical")
	refused(t, cfg, newRecorder(t), "ALTER SYSTEM SET wal_level = logical")
}

// TestUnreachable wants a server that does not answer to be sought for good, and a wrong password not.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it accepts and says nothing
	cfg := Config{Name: "x", DSN: "postgres://u:secret@" + l.Addr().String() + "/db", Tables: []string{"a.b"}}
	var log lines
	c := New(cfg, newRecorder(t).Open, log.logger(), nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	begun := time.Now()
	go func() { done <- c.Run(ctx) }()
	eventually(t, "a log line", func() bool { return strings.Contains(log.String(), l.Addr().String()+"/db") })
	if took := time.Since(begun); took > 6*time.Second {
		t.Errorf("the first line came after %s", took)
	}
	cancel()
	if err := ended(t, "capture", done); err != nil {
		t.Errorf("a stop gave %v", err)
	}
	if strings.Contains(log.String(), "secret") {
		t.Error("the password was logged")
	}
}

// TestStopWhileOpening stops a capture whose Kafka does not answer.
func TestStopWhileOpening(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
		opening := make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		c := New(cfg, func(ctx context.Context, _ []*change.Table) (Downstream, error) {
			close(opening)
			<-ctx.Done()
			return nil, ctx.Err()
		}, logger(t), nil)
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		ended(t, "the start", opening)
		cancel()
		if err := ended(t, "capture", done); err != nil {
			t.Errorf("a stop gave %v", err)
		}
	})
}
