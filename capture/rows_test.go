package capture

import (
	"strings"
	"testing"
)

func TestReplicaIdentities(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE f (id int PRIMARY KEY, n int, big text); ALTER TABLE f REPLICA IDENTITY FULL;
			CREATE TABLE nokey (a int, b text); ALTER TABLE nokey REPLICA IDENTITY FULL;
			CREATE TABLE idx (id int PRIMARY KEY, code text NOT NULL, n int); CREATE UNIQUE INDEX idx_code ON idx (code);
			ALTER TABLE idx REPLICA IDENTITY USING INDEX idx_code;
			CREATE TABLE toast (id int PRIMARY KEY, n int, big text);
			ALTER TABLE f ALTER big SET STORAGE EXTERNAL; ALTER TABLE toast ALTER big SET STORAGE EXTERNAL`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		d.run(`INSERT INTO f VALUES (1, 1, repeat('x', 5000)); UPDATE f SET n = 2; UPDATE f SET id = 9; DELETE FROM f`)
		d.run(`INSERT INTO nokey VALUES (1, 'a'); UPDATE nokey SET a = 2; DELETE FROM nokey`)
		d.run(`INSERT INTO idx VALUES (1, 'a', 1); UPDATE idx SET id = 2; UPDATE idx SET code = 'b'; DELETE FROM idx`)
		d.run(`INSERT INTO toast VALUES (1, 1, repeat('y', 5000)); UPDATE toast SET n = 2; UPDATE toast SET id = 2; UPDATE toast SET big = NULL`)
		expect(t, r.await(18), []string{
			"c f after(id:1 n:1 big:xxxxxxxx…5000)",
			"u f before(id:1 n:1 big:xxxxxxxx…5000) after(id:1 n:2 big:xxxxxxxx…5000)",
			"d f before(id:1 n:2 big:xxxxxxxx…5000) other(id:9)",
			"c f after(id:9 n:2 big:xxxxxxxx…5000) other(id:1)",
			"d f before(id:9 n:2 big:xxxxxxxx…5000)",
			"c nokey after(a:1 b:a)",
			"u nokey before(a:1 b:a) after(a:2 b:a)",
			"d nokey before(a:2 b:a)",
			"c idx after(id:1 code:a n:1)",
			"u idx after(id:2 code:a n:1)",
			"d idx before(code:a) other(code:b)",
			"c idx after(id:2 code:b n:1) other(code:a)",
			"d idx before(code:b)",
			"c toast after(id:1 n:1 big:yyyyyyyy…5000)",
			"u toast after(id:1 n:2 big:unchanged)",
			"d toast before(id:1) other(id:2)",
			"c toast after(id:2 n:2 big:unchanged) other(id:1)",
			"u toast after(id:2 n:2 big:null)",
		})
		c.finish()
	})
}

func TestTruncateSkipKeepsOrdinals(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
		cfg.Truncate = TruncateSkip
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		d.run(`BEGIN; INSERT INTO a VALUES (1); TRUNCATE a; INSERT INTO a VALUES (2); COMMIT`)
		expect(t, r.await(2), []string{"c a after(id:1)", "c a after(id:2)"})
		c.finish()
		last := r.groups[len(r.groups)-1]
		for _, g := range r.groups {
			if len(g.changes) == 2 {
				last = g
			}
		}
		if last.positions[0].Ordinal != 1 || last.positions[1].Ordinal != 3 {
			t.Errorf("ordinals are %v: what is skipped must keep its own", last.positions)
		}
	})
}

// manyTypes has a column of each type that a value can be compared of; point is opaque, so that with
// it everything is read in text.
const manyTypes = `i2 int2, i4 int4, i8 int8, b bool, f4 float4, f8 float8, n numeric, n2 numeric(12,2), t text, vc varchar(20), c char(5),
	by bytea, u uuid, j json, jb jsonb, d date, ts timestamp, tz timestamptz, iv interval, ia int[], ta text[], e mood, dom price`

const manyValues = `1, -2, 9007199254740993, true, 1.5, 0.1, 12345678901234567890.123, 10.50, 'ünï', 'vc', 'ab', '\xdeadbeef', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
	'{"a": 1.10}', '{"a": 1.10}', '2024-02-29', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789+00', '1 mon 2 days 03:04:05', '{1,NULL,3}', '{a,"b c"}', 'sad', 9.99`

// TestSnapshotEqualsStream compares the raw bytes of both ways, in binary and in text.
func TestSnapshotEqualsStream(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN price AS numeric(10,2);
			CREATE TABLE v (id int PRIMARY KEY, ` + manyTypes + `); INSERT INTO v VALUES (1, ` + manyValues + `); INSERT INTO v (id) VALUES (2)`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(2)
		d.run(`INSERT INTO v VALUES (1001, ` + manyValues + `)`)
		d.run(`INSERT INTO v (id) VALUES (1002)`)
		got := r.await(4)
		for i := range 2 {
			snap := strings.Replace(strings.Replace(got[i], "r v", "c v", 1), "id:", "id:100", 1)
			if snap != got[i+2] {
				t.Errorf("snapshot\n %s\nstream\n %s", snap, got[i+2])
			}
		}
		if c.text {
			t.Error("the stream is in text although every type has a binary form that is known")
		}
		c.finish()
	})
}

func TestOpaqueColumnTurnsTheStreamToText(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY, n numeric)`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		d.run(`INSERT INTO a VALUES (1, 1.10)`)
		d.run(`ALTER TABLE a ADD p point`)
		d.run(`BEGIN; INSERT INTO a VALUES (2, 2.20, '(1,2)'); INSERT INTO a VALUES (3, 3.30, NULL); COMMIT`)
		expect(t, r.await(3), []string{
			"c a after(id:1 n:1.10)",
			"c a after(id:2 n:2.20 p:(1,2))",
			"c a after(id:3 n:3.30 p:null)",
		})
		c.finish()
	})
}

func TestPartitionsComeUnderTheirTable(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE p (id int PRIMARY KEY, s text) PARTITION BY RANGE (id);
			CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
			INSERT INTO p VALUES (1, 'a'), (11, 'b')`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(2)
		d.run(`INSERT INTO p VALUES (2, 'c'); UPDATE p SET s = 'd' WHERE id = 11; DELETE FROM p WHERE id = 1`)
		expect(t, r.await(5), []string{
			"r p after(id:1 s:a)", "r p after(id:11 s:b)", "c p after(id:2 s:c)", "u p after(id:11 s:d)", "d p before(id:1)",
		})
		c.finish()
	})
}
