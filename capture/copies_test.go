package capture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// copiedTable is a table of the random test: how its keys are made.
type copiedTable struct{ name, columns, key, value string }

// copied are tables of several kinds of key. $1 is a number of a small range.
var copiedTables = []copiedTable{
	{"ints", "id int, PRIMARY KEY (id)", "id", "%[1]d"},
	{"pairs", "a int, b text, PRIMARY KEY (a, b)", "a, b", "%[1]d %% 7, 'k' || %[1]d"},
	{"texts", "k text, PRIMARY KEY (k)", "k", "'Ä' || (%[1]d * 7919 %% 100003)"},
	{"uuids", "u uuid, PRIMARY KEY (u)", "u", "md5(%[1]d::text)::uuid"},
	{"numerics", "d numeric, PRIMARY KEY (d)", "d", "%[1]d * 1.5 - 1000"},
	{"wholes", "id bigint, PRIMARY KEY (id)", "id", "%[1]d"},
	{"bag", "id int", "id", "%[1]d"},
}

const copiedKeys = 3000

func (c copiedTable) create(d *db) {
	d.run(fmt.Sprintf(`CREATE TABLE %[1]s (v bigint NOT NULL, n int, big text, h text, %[2]s); ALTER TABLE %[1]s ALTER big SET STORAGE EXTERNAL`, c.name, c.columns))
	if c.name == "wholes" || c.name == "bag" {
		d.run("ALTER TABLE " + c.name + " REPLICA IDENTITY FULL")
	}
	d.run(fmt.Sprintf(`INSERT INTO %s (v, n, big, h, %s) SELECT nextval('vs'), g, CASE WHEN g %% 3 = 0 THEN repeat(md5(g::text), 80) END, CASE WHEN g %% 3 = 0 THEN md5(g::text) END, %s FROM generate_series(1, %d, 2) g`,
		c.name, c.key, strings.ReplaceAll(strings.ReplaceAll(c.value, "%[1]d", "g"), "%%", "%"), copiedKeys))
}

// where finds the row of a number.
func (c copiedTable) where(n int) string {
	return "(" + c.key + ") = (" + fmt.Sprintf(c.value, n) + ")"
}

// statement gives one random change.
func (c copiedTable) statement(rnd *rand.Rand) string {
	n := 1 + rnd.IntN(copiedKeys)
	switch x := rnd.IntN(100); {
	case x < 35:
		return fmt.Sprintf("UPDATE %s SET v = nextval('vs'), n = %d WHERE %s", c.name, rnd.IntN(1000), c.where(n))
	case x < 50:
		return fmt.Sprintf("UPDATE %s SET v = nextval('vs'), big = repeat(md5('%[2]d'), 100), h = md5('%[2]d') WHERE %[3]s", c.name, rnd.Int(), c.where(n))
	case x < 65:
		return "DELETE FROM " + c.name + " WHERE " + c.where(n)
	case x < 75 && c.name != "bag":
		m := 1 + rnd.IntN(copiedKeys)
		return fmt.Sprintf("UPDATE %s SET v = nextval('vs'), (%s) = ROW(%s) WHERE %s AND NOT EXISTS (SELECT FROM %s WHERE %s)",
			c.name, c.key, fmt.Sprintf(c.value, m), c.where(n), c.name, c.where(m))
	case x == 99 && rnd.IntN(30) == 0:
		return "TRUNCATE " + c.name
	}
	conflict := " ON CONFLICT DO NOTHING"
	return fmt.Sprintf("INSERT INTO %[1]s (v, n, big, h, %[2]s) VALUES (nextval('vs'), %[3]d, repeat(md5('%[4]d'), %[5]d), md5('%[4]d'), %[6]s)%[7]s",
		c.name, c.key, n, rnd.Int(), rnd.IntN(100), fmt.Sprintf(c.value, n), conflict)
}

// TestCopiesAmongWrites copies tables while they are written to, under crashes, pauses and lost
// connections, and wants the rows of the source in the end, and no row that goes back in time on the way.
// SLUICE_SEED replays.
func TestCopiesAmongWrites(t *testing.T) {
	seed := seedOf(t)
	on(t, versions[seed%2], func(t *testing.T, cfg Config, d *db) { // the seed draws the version too
		copyAmongWrites(t, cfg, d, seed, false)
	})
}

// seedOf gives the seed to replay, or a new one, and says which.
func seedOf(t *testing.T) uint64 {
	seed := rand.Uint64()
	if s := os.Getenv("SLUICE_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("replay with SLUICE_SEED=%d", seed)
	return seed
}

// TestGapsAmongWrites loses the slot on the way, too, and wants the tables repaired.
func TestGapsAmongWrites(t *testing.T) {
	seed := seedOf(t)
	on(t, versions[seed%2], func(t *testing.T, cfg Config, d *db) {
		cfg.OnGap = GapReconcile
		copyAmongWrites(t, cfg, d, seed, true)
	})
}

// TestStopKeepsWhatWasCopied stops as soon as a table is copied, and wants no row of it read again.
func TestStopKeepsWhatWasCopied(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE ints (id int PRIMARY KEY, v int); INSERT INTO ints SELECT g, g FROM generate_series(1, 100) g`)
		f := newFolder(t)
		for range 3 {
			c := start(t, cfg, f)
			c.awaitState(StateStreaming)
			c.awaitCopies()
			c.finish()
		}
		if f.reads != 100 {
			t.Errorf("%d rows were read, want 100", f.reads)
		}
	})
}

// TestGapLeavesOldValues changes a row in a gap, and twice behind it before capture asks for the value that the first of the two
// changes did not send. What the row has by then belongs to the second: a reader that keeps what it has makes a row that never
// was, of v 3 and the value of before the gap, and the second change mends it. One transaction that writes twice is no other case.
func TestGapLeavesOldValues(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY, v int, big text); ALTER TABLE a ALTER big SET STORAGE EXTERNAL;
			INSERT INTO a VALUES (1, 1, repeat('a', 10000))`)
		cfg.OnGap = GapReconcile
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(1)
		c.awaitCopies()
		c.finish()
		d.run(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`)
		d.run(`UPDATE a SET v = 2, big = repeat('b', 10000)`)
		r.stall = make(chan struct{}) // the gap's mark waits, and all behind it
		c = start(t, cfg, r)
		eventually(t, "the new slot", func() bool {
			return d.ask(`SELECT count(*)::text FROM pg_replication_slots WHERE database = current_database() AND active`) == "1"
		})
		d.run(`UPDATE a SET v = 3`)
		d.run(`UPDATE a SET v = 4, big = repeat('c', 10000)`)
		d.run(`BEGIN; UPDATE a SET v = 5; UPDATE a SET v = 6, big = repeat('d', 10000); COMMIT`)
		close(r.stall)
		c.awaitCopies()
		want := []string{"r a after(id:1 v:1 big:aaaaaaaa…10000)", "u a after(id:1 v:3 big:unchanged)", "u a after(id:1 v:4 big:cccccccc…10000)",
			"u a after(id:1 v:5 big:unchanged)", "u a after(id:1 v:6 big:dddddddd…10000)"}
		if got := r.await(len(want)); !slices.Equal(got[:len(want)], want) {
			t.Errorf("got %q, want %q", got, want)
		}
		for _, g := range r.groups {
			if slices.Contains(g.changes, want[1]) && (g.Repair == nil || !slices.Contains(g.Repair.Tables, "public.a")) {
				t.Error("readers are not told that the table is under repair")
			}
		}
		c.finish()
	})
}

func copyAmongWrites(t *testing.T, cfg Config, d *db, seed uint64, gaps bool) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	d.run("CREATE SEQUENCE vs")
	for _, c := range copiedTables {
		c.create(d)
	}
	d.run("ANALYZE")
	cfg.Snapshot = SnapshotConfig{Workers: 1 + rnd.IntN(3), Chunk: fmt.Sprintf("%dkB", 16<<rnd.IntN(4))}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	var writers sync.WaitGroup
	for i := range 3 {
		conn := connect(t, cfg.DSN)
		mine := rand.New(rand.NewPCG(seed, uint64(i+2)))
		writers.Go(func() { write(ctx, conn.Conn, mine) })
	}
	f := newFolder(t)
	crashes := rnd.IntN(6)
	c := start(t, cfg, f)
	if gaps {
		crashes += 2
	}
	for i := range crashes {
		time.Sleep(time.Duration(rnd.IntN(400)) * time.Millisecond)
		if gaps && (i == crashes-1 || rnd.IntN(3) == 0) {
			c.loseSlot(d, rnd, f)
			c = start(t, cfg, f)
			continue
		}
		switch rnd.IntN(4) {
		case 0:
			f.crash(c)
		case 1:
			c.finish()
		case 2:
			c.pauseCopies(rnd)
			continue
		default:
			d.run("SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE state = 'streaming'")
			continue
		}
		c = start(t, cfg, f)
	}
	c.resumeCopies()
	c.awaitCopies()
	time.Sleep(100 * time.Millisecond)
	stop()
	writers.Wait()
	d.run("INSERT INTO ints (v, n, id) VALUES (nextval('vs'), 0, -1)")
	eventually(t, "the last row", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.tables["ints"]["-1"] != nil || len(f.problems) > 0
	})
	c.finish()
	t.Logf("%d crashes, %d gaps, %d rows read, %d workers, chunks of %s", crashes, f.gaps, f.reads, cfg.Snapshot.Workers, cfg.Snapshot.Chunk)
	f.compare(d)
}

// loseSlot ends capture and drops its slot, or makes another one under its name.
func (c *running) loseSlot(d *db, rnd *rand.Rand, f *folder) {
	c.t.Helper()
	eventually(c.t, "the stream", func() bool { return len(c.Status().Copies) > 0 }) // a slot without publication decodes nothing
	if rnd.IntN(2) == 0 {
		f.crash(c)
	} else {
		c.finish()
	}
	slot := c.cfg.Slot
	eventually(c.t, "the slot to go", func() bool {
		ctx, cancel := within()
		defer cancel()
		_, err := d.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", slot)
		return err == nil
	})
	time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
	if rnd.IntN(2) == 0 {
		d.run("SELECT pg_create_logical_replication_slot('" + slot + "', 'pgoutput')")
	}
}

// pauseCopies has copies pause for a while.
func (c *running) pauseCopies(rnd *rand.Rand) {
	var wishes []CopyRequest
	for _, s := range c.Status().Copies {
		wishes = append(wishes, CopyRequest{ID: s.ID, Wanted: WantPause})
	}
	c.RequestCopies(wishes)
	time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond)
	c.resumeCopies()
}

// resumeCopies has copies go on that are paused, also since before a crash: wishes come anew at each start.
func (c *running) resumeCopies() {
	c.t.Helper()
	eventually(c.t, "the copies that there are", func() bool { return len(c.Status().Copies) > 0 })
	var wishes []CopyRequest
	for _, s := range c.Status().Copies {
		wishes = append(wishes, CopyRequest{ID: s.ID, Wanted: WantRun})
	}
	c.RequestCopies(wishes)
}

func write(ctx context.Context, conn *pgx.Conn, rnd *rand.Rand) {
	for ctx.Err() == nil {
		var sql []string
		for range 1 + rnd.IntN(4) {
			sql = append(sql, copiedTables[rnd.IntN(len(copiedTables))].statement(rnd))
		}
		end := "COMMIT"
		if rnd.IntN(10) == 0 {
			end = "ROLLBACK"
		}
		// Deadlocks and keys that are taken roll back.
		if err := attempt(conn, "BEGIN; "+strings.Join(sql, "; ")+"; "+end); err != nil {
			_ = attempt(conn, "ROLLBACK")
		}
	}
}

// attempt executes statements that may fail. One that waits for too long closes the connection.
func attempt(conn *pgx.Conn, sql string) error {
	ctx, cancel := within()
	defer cancel()
	_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// awaitCopies waits until every table is copied.
func (c *running) awaitCopies() {
	c.t.Helper()
	eventually(c.t, "all copies done", func() bool {
		select {
		case err := <-c.done:
			c.t.Fatalf("capture ended: %v", err)
		default:
		}
		all := c.Status().Copies
		for _, s := range all {
			if s.State != CopyDone {
				return false
			}
		}
		return len(all) > 0
	})
}

// compare wants the rows of the source.
func (f *folder) compare(d *db) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.problems {
		f.t.Error(p)
	}
	for _, c := range copiedTables {
		want := map[string]int{}
		ctx, cancel := within()
		defer cancel()
		rows, err := d.Query(ctx, "SELECT concat_ws('|', v, coalesce(n::text, 'n'), coalesce(big, 'n'), coalesce(h, 'n'), "+c.key+") FROM "+c.name)
		if err != nil {
			f.t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			f.t.Fatal(err)
		}
		for _, l := range lines {
			want[l]++
		}
		got := f.bags[c.name]
		if c.name != "bag" {
			got = map[string]int{}
			for _, row := range f.tables[c.name] {
				cells := []string{row["v"], row["n"], row["big"], row["h"]}
				for k := range strings.SplitSeq(c.key, ", ") {
					cells = append(cells, row[k])
				}
				got[strings.Join(cells, "|")]++
			}
		}
		f.difference(c.name, want, got)
	}
}

func (f *folder) difference(name string, want, got map[string]int) {
	shown := 0
	for l, n := range want {
		if got[l] != n && shown < 3 {
			shown++
			f.t.Errorf("%s: %d times instead of %d: %.120s", name, got[l], n, l)
		}
	}
	for l, n := range got {
		if want[l] == 0 && shown < 6 {
			shown++
			f.t.Errorf("%s: %d times and not at the source: %.120s", name, n, l)
		}
	}
	f.t.Logf("%s: %d rows", name, len(want))
}

// TestCopiesOfOtherKinds wants copies on demand of tables of every kind, or the reason why not.
func TestCopiesOfOtherKinds(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
			INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2);
			CREATE TABLE split (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE split1 PARTITION OF split FOR VALUES FROM (0) TO (10);
			INSERT INTO split VALUES (3); CREATE TABLE bare (n int); ALTER TABLE bare REPLICA IDENTITY FULL; INSERT INTO bare VALUES (4);
			CREATE UNLOGGED TABLE u (id int PRIMARY KEY); CREATE VIEW v AS SELECT 1;
			CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE f (id int) SERVER s`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(4)
		c.awaitCopies()
		want := map[string]string{"parent": "", "child": "", "split": "", "bare": "", "u": "SET LOGGED", "v": "view", "f": "foreign", "gone": "no table"}
		var wishes []CopyRequest
		for name := range want {
			wishes = append(wishes, CopyRequest{ID: "asked/" + name, Table: "public." + name, Wanted: WantRun})
		}
		c.RequestCopies(wishes)
		got := r.awaitThat(func(all []string) bool { return len(all) >= 8 })
		for _, row := range []string{"r parent after(id:1)", "r child after(id:2)", "r split after(id:3)", "r bare after(n:4)"} {
			if slices.Index(got[4:], row) < 0 {
				t.Errorf("%s did not come again: %q", row, got)
			}
		}
		eventually(t, "all to end", func() bool {
			ended := 0
			for _, s := range c.Status().Copies {
				if s.Kind == CopyAsked && (s.State == CopyDone || s.State == CopyFailed) {
					ended++
				}
			}
			return ended == len(want)
		})
		for _, s := range c.Status().Copies {
			if why := want[strings.TrimPrefix(s.Table, "public.")]; s.Kind == CopyAsked && ((s.State == CopyFailed) != (why != "") || !strings.Contains(s.Reason, why)) {
				t.Errorf("%s is %s: %s", s.Table, s.State, s.Reason)
			}
		}
		c.finish()
	})
}
