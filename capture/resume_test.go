package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/localpg"
)

// expectIDs wants rows 1 to n of one table, each once and in order.
func expectIDs(t *testing.T, got []string, n int) {
	t.Helper()
	if len(got) != n {
		t.Errorf("got %d changes, want %d", len(got), n)
	}
	for i, s := range got {
		if want := fmt.Sprintf("c a after(id:%d)", i+1); s != want {
			t.Fatalf("change %d is %q, want %q", i+1, s, want)
		}
	}
}

func TestResumeAfterDeath(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		d.run(`INSERT INTO a SELECT generate_series(1, 10)`)
		r.await(10)
		// It dies in the middle of a transaction, with another behind it.
		r.mu.Lock()
		r.failure = errors.New("dead")
		r.mu.Unlock()
		d.run(`INSERT INTO a SELECT generate_series(11, 20)`)
		d.run(`INSERT INTO a VALUES (21)`)
		if err := c.end(); !errors.Is(err, r.failure) {
			t.Fatalf("Run gave %v", err)
		}
		r.mu.Lock()
		r.failure = nil
		r.mu.Unlock()
		d.run(`INSERT INTO a VALUES (22)`)
		c = start(t, cfg, r)
		expectIDs(t, r.await(22), 22)
		c.finish()
	})
}

// TestReconnectInsideTransaction cuts the connection while a large transaction is half published. The
// downstream stays, and must see the transaction go on at its next ordinal (recorder.check).
func TestReconnectInsideTransaction(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
		cfg.BufferBytes = minSlabs * slabBytes
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		stall := make(chan struct{})
		const n = 200_000
		r.mu.Lock()
		r.stall = stall
		r.mu.Unlock()
		d.run(fmt.Sprintf(`INSERT INTO a SELECT generate_series(1, %d)`, n))
		eventually(t, "full buffers", func() bool { return c.waiting() >= 3*slabBytes })
		close(stall)
		eventually(t, "a part of the transaction", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.open != nil && len(r.open.changes) > 1000
		})
		d.run(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database()`)
		got := r.await(n)
		expectIDs(t, got, n)
		if r.opened != 1 {
			t.Errorf("the downstream was opened %d times", r.opened)
		}
		c.finish()
	})
}

// TestReconnectInsideWhatIsKnown cuts the connection while a transaction comes again that an earlier capture published
// whole: first the last one, then one with another behind it.
func TestReconnectInsideWhatIsKnown(t *testing.T) {
	for _, behind := range []int{0, 1} {
		onEach(t, func(t *testing.T, cfg Config, d *db) {
			d.run(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE wide (v text); ALTER TABLE wide REPLICA IDENTITY FULL`)
			cfg.BufferBytes, cfg.DrainTimeout = minSlabs*slabBytes, time.Second
			r := newRecorder(t)
			c := start(t, cfg, r)
			c.awaitState(StateStreaming)
			c.awaitCopies()
			r.mu.Lock()
			r.lazy = true
			r.mu.Unlock()
			const n = 1000
			d.run(fmt.Sprintf(`INSERT INTO wide SELECT repeat('x', 10000) FROM generate_series(1, %d)`, n))
			for i := range behind {
				d.run(fmt.Sprintf(`INSERT INTO a VALUES (%d)`, i))
			}
			r.await(n + behind)
			c.finish()
			// Nothing of it was confirmed, and all of it is there.
			stall := make(chan struct{})
			r.durable, r.lazy, r.stall = r.groups[len(r.groups)-1].End, false, stall
			c = start(t, cfg, r)
			eventually(t, "full buffers", func() bool { return c.waiting() >= 3*slabBytes })
			d.run(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database()`)
			close(stall)
			d.run(`INSERT INTO a VALUES (1000)`)
			expectLast(t, r.await(n+behind+1), "c a after(id:1000)")
			c.finish()
		})
	}
}

// waiting gives the bytes that stand in slabs, as the metric has it.
func (c *Capture) waiting() int {
	if p := c.poolInForce(); p != nil {
		return p.waiting()
	}
	return 0
}

func TestBackPressureKeepsTheConnection(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
		d.run(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET wal_sender_timeout = 2000', current_database()); END $$`)
		cfg.BufferBytes = minSlabs * slabBytes
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		pid := d.ask(walsender)
		stall := make(chan struct{})
		r.mu.Lock()
		r.stall = stall
		r.mu.Unlock()
		const n = 200_000
		d.run(fmt.Sprintf(`INSERT INTO a SELECT generate_series(1, %d)`, n))
		eventually(t, "full buffers", func() bool { return c.waiting() >= 3*slabBytes })
		begun := time.Now()
		eventually(t, "three times wal_sender_timeout", func() bool { return time.Since(begun) > 6*time.Second })
		close(stall)
		expectIDs(t, r.await(n), n)
		if now := d.ask(walsender); now != pid {
			t.Errorf("the walsender was %s and is %s: the connection was lost", pid, now)
		}
		c.finish()
	})
}

const walsender = `SELECT active_pid::text FROM pg_replication_slots WHERE database = current_database()`

func TestNothingIsConfirmedBeforeItIsDurable(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		r.mu.Lock()
		r.lazy = true
		r.mu.Unlock()
		d.run(`INSERT INTO a VALUES (1)`)
		r.await(1)
		r.awaitHeartbeats(4)
		durable := r.Durable()
		confirmed, err := change.ParseLSN(d.ask(`SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE database = current_database()`))
		r.mu.Lock()
		var first change.LSN
		for _, g := range r.groups {
			if len(g.changes) > 0 {
				first = g.Commit
			}
		}
		last := r.groups[len(r.groups)-1].End
		r.mu.Unlock()
		if err != nil || confirmed > first || confirmed < durable {
			t.Errorf("confirmed %s, durable %s, the change that is not durable stands at %s", confirmed, durable, first)
		}
		r.mu.Lock()
		r.lazy, r.durable = false, last
		r.mu.Unlock()
		eventually(t, "confirmation", func() bool {
			lsn, _ := change.ParseLSN(d.ask(`SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE database = current_database()`))
			return lsn >= last
		})
		c.finish()
	})
}

func TestSecondCaptureStandsBy(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
		r := newRecorder(t)
		first := start(t, cfg, r)
		first.awaitState(StateStreaming)
		second := start(t, cfg, r)
		second.awaitState(StateStandby)
		d.run(`INSERT INTO a VALUES (1)`)
		r.await(1)
		if r.opened != 1 {
			t.Errorf("the downstream was opened %d times: a standby fences nobody", r.opened)
		}
		first.finish()
		second.awaitState(StateStreaming)
		d.run(`INSERT INTO a VALUES (2)`)
		expectIDs(t, r.await(2), 2)
		second.finish()
	})
}

// TestCopyAfterAFailure wants rows from before the first start, and from between it and the next, though the
// first came to nothing.
func TestCopyAfterAFailure(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 3)`)
		r := newRecorder(t)
		r.failure = errors.New("dead")
		c := start(t, cfg, r)
		if err := c.end(); !errors.Is(err, r.failure) {
			t.Fatalf("Run gave %v", err)
		}
		r.failure = nil
		d.run(`INSERT INTO a VALUES (4)`)
		c = start(t, cfg, r)
		r.awaitThat(func(all []string) bool {
			return slices.Contains(all, "c a after(id:4)") && slices.Contains(all, "r a after(id:1)") &&
				slices.Contains(all, "r a after(id:2)") && slices.Contains(all, "r a after(id:3)")
		})
		c.finish()
	})
}

// TestCopiedChangesComeAgain has the slot send again, when a table without key is copied, what came before the copy
// and is in it.
func TestCopiedChangesComeAgain(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		c.awaitCopies()
		c.finish()
		d.run(`CREATE TABLE bare (n int); ALTER TABLE bare REPLICA IDENTITY FULL; INSERT INTO bare VALUES (1)`)
		open := connect(t, cfg.DSN) // the copy waits for it
		open.run(`BEGIN; SELECT pg_current_xact_id()`)
		r.lazy = true
		cfg.DrainTimeout = time.Second
		c = start(t, cfg, r)
		c.awaitState(StateSnapshot)
		d.run(`BEGIN; INSERT INTO a VALUES (1); INSERT INTO bare VALUES (2); COMMIT;
			BEGIN; INSERT INTO a VALUES (2); TRUNCATE bare; COMMIT;
			BEGIN; INSERT INTO a VALUES (3); INSERT INTO bare VALUES (3); COMMIT`)
		r.awaitThat(func(all []string) bool { return slices.Contains(all, "c a after(id:3)") })
		d.run(`INSERT INTO bare VALUES (31)`) // in the copy as all before it, and there is nothing of it to publish
		open.run(`ROLLBACK`)
		c.awaitCopies()
		d.run(`INSERT INTO bare VALUES (4)`)
		want := []string{"c a after(id:1)", "c a after(id:2)", "c a after(id:3)", "r bare after(n:3)", "r bare after(n:31)", "c bare after(n:4)"}
		if got := r.await(len(want)); !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		c.finish()
		r.durable, r.lazy = r.reached+1, false // and nothing of it was confirmed
		d.run(`INSERT INTO bare VALUES (5)`)
		c = start(t, cfg, r)
		if got := r.await(len(want) + 1); !slices.Equal(got, append(want, "c bare after(n:5)")) {
			t.Fatalf("got %q", got)
		}
		c.finish()
	})
}

// TestEndOfAWholeCopyIsFound starts behind a crash that came when the rows of a table without key were in Kafka, and before that
// was noted.
func TestEndOfAWholeCopyIsFound(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE bare (n int); ALTER TABLE bare REPLICA IDENTITY FULL; INSERT INTO bare VALUES (1)`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitCopies()
		c.finish()
		key := copyKey(firstID("public.bare"))
		var noted copyRecord
		read := func() {
			t.Helper()
			if err := json.Unmarshal(r.journal[key], &noted); err != nil {
				t.Fatal(err)
			}
		}
		read()
		noted.State, noted.Ended = CopyCopying, nil
		r.journal[key], _ = json.Marshal(&noted)
		c = start(t, cfg, r)
		c.awaitState(StateStreaming)
		d.run(`INSERT INTO bare VALUES (2)`)
		expect(t, r.await(2), []string{"r bare after(n:1)", "c bare after(n:2)"})
		c.finish()
		if read(); noted.State != CopyDone || noted.Ended == nil {
			t.Errorf("the copy is %s, ended %v", noted.State, noted.Ended)
		}
	})
}

func TestServerRestarts(t *testing.T) {
	pg := harness.Postgres(t, harness.Options{Version: 15})
	dsn := pg.NewDatabase()
	d := connect(t, dsn)
	d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
	r := newRecorder(t)
	c := start(t, Config{Name: "restart", DSN: dsn, Tables: []string{"public.a"}}, r)
	c.awaitState(StateStreaming)
	d.run(`INSERT INTO a VALUES (1)`)
	r.await(1)
	// The server waits until what it has sent is confirmed, and no heartbeat of ours comes any more.
	connect(t, pg.NewDatabase()).run(`CREATE TABLE elsewhere AS SELECT generate_series(1, 1000)`)
	pg.Stop(localpg.Fast)
	c.awaitState(StateConnecting)
	pg.Start()
	connect(t, dsn).run(`INSERT INTO a VALUES (2)`)
	r.await(2)
	pg.Kill9()
	pg.Start()
	connect(t, dsn).run(`INSERT INTO a VALUES (3)`)
	expectIDs(t, r.await(3), 3)
	if r.opened != 1 {
		t.Errorf("the downstream was opened %d times", r.opened)
	}
	c.finish()
}
