package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
)

// The log of PostgreSQL 18 has stored generated columns, that of 15 has not: the records are the same.
func TestGeneratedColumns(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE g (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (n * 2) STORED, n int, s text, "Up ""s" text GENERATED ALWAYS AS (upper(s)) STORED);
			CREATE TABLE whole (id int, plus int GENERATED ALWAYS AS (id + 1) STORED, n numeric); ALTER TABLE whole REPLICA IDENTITY FULL;
			INSERT INTO g VALUES (1, DEFAULT, 10, 'a'), (2, DEFAULT, NULL, NULL); INSERT INTO whole VALUES (1, DEFAULT, 1.5)`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(3)
		d.run(`INSERT INTO g VALUES (3, DEFAULT, 30, 'ß'); UPDATE g SET n = 11 WHERE id = 1; UPDATE g SET id = 4 WHERE id = 3; UPDATE g SET s = NULL WHERE id = 4; DELETE FROM g WHERE id = 2`)
		d.run(`INSERT INTO whole VALUES (2, DEFAULT, NULL); UPDATE whole SET id = id * 10; DELETE FROM whole WHERE id = 10`)
		d.run(`BEGIN; INSERT INTO g (id, n) SELECT i, i FROM generate_series(1000, 1999) i; COMMIT`)
		got := r.await(1013)
		expect(t, got[:14], []string{
			`r g after(id:1 twice:20 n:10 s:a Up "s:A)`, `r g after(id:2 twice:null n:null s:null Up "s:null)`, "r whole after(id:1 plus:2 n:1.5)",
			`c g after(id:3 twice:60 n:30 s:ß Up "s:ß)`, `u g after(id:1 twice:22 n:11 s:a Up "s:A)`,
			"d g before(id:3) other(id:4)", `c g after(id:4 twice:60 n:30 s:ß Up "s:ß) other(id:3)`,
			`u g after(id:4 twice:60 n:30 s:null Up "s:null)`, "d g before(id:2)",
			"c whole after(id:2 plus:3 n:null)",
			"u whole before(id:1 plus:2 n:1.5) after(id:10 plus:11 n:1.5)", "u whole before(id:2 plus:3 n:null) after(id:20 plus:21 n:null)",
			"d whole before(id:10 plus:11 n:1.5)",
			`c g after(id:1000 twice:2000 n:1000 s:null Up "s:null)`,
		})
		if last := got[len(got)-1]; last != `c g after(id:1999 twice:3998 n:1999 s:null Up "s:null)` {
			t.Errorf("the last change is %s", last)
		}
		c.finish()
	})
}

// generatedTypes has a generated column of each kind of type, and inputs whose text depends on settings.
const generatedTypes = `a int, b text, ts timestamp, by bytea, f float8, tags text[], j jsonb, turkish text COLLATE "C", price price, m mood,
	g_num numeric(8,1) GENERATED ALWAYS AS (a * 1.25) STORED, g_big bigint GENERATED ALWAYS AS (a) STORED, g_text varchar(30) GENERATED ALWAYS AS (b || '-' || a) STORED,
	g_char char(6) GENERATED ALWAYS AS (b) STORED, g_date date GENERATED ALWAYS AS (ts::date) STORED, g_iv interval GENERATED ALWAYS AS (make_interval(days => a)) STORED,
	g_by bytea GENERATED ALWAYS AS (by || '\x00'::bytea) STORED, g_f float8 GENERATED ALWAYS AS (f / 3) STORED, g_arr text[] GENERATED ALWAYS AS (tags || b) STORED,
	g_ints int[] GENERATED ALWAYS AS (ARRAY[a, NULL]) STORED, g_json jsonb GENERATED ALWAYS AS (j - 'x') STORED, g_bool bool GENERATED ALWAYS AS (b IS NULL) STORED,
	g_upper text GENERATED ALWAYS AS (upper(turkish)) STORED, g_price price GENERATED ALWAYS AS (price * 2) STORED, g_const int GENERATED ALWAYS AS (7) STORED,
	g_mood bool GENERATED ALWAYS AS (m > 'sad'::mood) STORED, g_dom numeric GENERATED ALWAYS AS (s."Half"(price)) STORED, g_uuid uuid GENERATED ALWAYS AS (md5(b)::uuid) STORED`

const generatedValues = `(-7, 'ünï', '2024-02-29 12:34:56.789', '\xde', 0.1, '{x,NULL}', '{"x": 1, "y": 1.10}', 'ı', 9.99, 'ok'), (0, '', 'infinity', '', 'NaN', '{}', '{}', 'i', 0, 'sad')`

// TestGeneratedSnapshotEqualsStream compares the raw bytes of both ways, in binary and in text: a
// generated tsvector or box is read as text and leaves the stream in binary where it is not in the log.
func TestGeneratedSnapshotEqualsStream(t *testing.T) {
	for _, opaque := range []string{"", ", p point", `, g_box text GENERATED ALWAYS AS (b || 'x') STORED, g_words tsvector GENERATED ALWAYS AS (to_tsvector('english', b)) STORED`} {
		onEach(t, func(t *testing.T, cfg Config, d *db) {
			d.run(`CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE >= 0);
				CREATE SCHEMA s; CREATE FUNCTION s."Half"(x price) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT x / 2'`)
			d.run(`CREATE TABLE v (id serial PRIMARY KEY, ` + generatedTypes + opaque + `)`)
			insert := func(from string) {
				d.run(`INSERT INTO v (a, b, ts, by, f, tags, j, turkish, price, m) VALUES ` + generatedValues + `; INSERT INTO v DEFAULT VALUES; SELECT setval('v_id_seq', ` + from + `)`)
			}
			insert("1000")
			r := newRecorder(t)
			r.avro = true
			c := start(t, cfg, r)
			r.await(3)
			insert("2000")
			got := r.await(6)
			for i := range 3 {
				snap := strings.Replace(strings.Replace(got[i], "r v", "c v", 1), "id:", "id:100", 1)
				if snap != got[i+3] {
					t.Errorf("snapshot\n %s\nstream\n %s", snap, got[i+3])
				}
			}
			unlogged := !c.source.logsGenerated()
			if want := opaque != "" && (strings.HasPrefix(opaque, ", p") || !unlogged); c.text != want {
				t.Errorf("the stream is in text: %v, want %v", c.text, want)
			}
			c.finish()
			columns := r.tables["public.v"].Columns
			if i := slices.IndexFunc(columns, func(c change.Column) bool { return c.Expression != nil }); (i >= 0) != unlogged {
				t.Errorf("column %d is computed", i)
			}
		})
	}
}

// Values that an update leaves alone do not travel when they are stored out of line.
func TestGeneratedFromToastedColumns(t *testing.T) {
	d, cfg := on15(t)
	d.run(`CREATE TABLE doc (id int PRIMARY KEY, title text, body text, size int GENERATED ALWAYS AS (length(body)) STORED,
			added int GENERATED ALWAYS AS (length(title || body)) STORED, head text GENERATED ALWAYS AS (upper(title)) STORED);
		CREATE TABLE full_doc (LIKE doc INCLUDING ALL); ALTER TABLE full_doc REPLICA IDENTITY FULL;
		ALTER TABLE doc ALTER body SET STORAGE EXTERNAL; ALTER TABLE full_doc ALTER body SET STORAGE EXTERNAL`)
	r := newRecorder(t)
	c := start(t, cfg, r)
	c.awaitState(StateStreaming)
	d.run(`INSERT INTO doc VALUES (1, 'a', repeat('x', 5000)); UPDATE doc SET title = 'bb'; UPDATE doc SET id = 2; UPDATE doc SET body = 'short'`)
	d.run(`INSERT INTO full_doc VALUES (1, 'a', repeat('x', 5000)); UPDATE full_doc SET title = 'bb'; UPDATE full_doc SET id = 2`)
	got := r.await(9)
	// What is read belongs to the change or to a later one, as it happens: "added" is 7 at the end, and the
	// row has the key 2.
	for i := range got {
		got[i] = strings.NewReplacer("added:5002", "added:later", "added:7", "added:later", "added:null", "added:later").Replace(got[i])
	}
	expect(t, got, []string{
		"c doc after(id:1 title:a body:xxxxxxxx…5000 size:5000 added:5001 head:A)",
		"u doc after(id:1 title:bb body:unchanged size:unchanged added:later head:BB)",
		"d doc before(id:1) other(id:2)",
		"c doc after(id:2 title:bb body:unchanged size:5 added:later head:BB) other(id:1)",
		"u doc after(id:2 title:bb body:short size:5 added:later head:BB)",
		"c full_doc after(id:1 title:a body:xxxxxxxx…5000 size:5000 added:5001 head:A)",
		"u full_doc before(id:1 title:a body:xxxxxxxx…5000 size:5000 added:5001 head:A) after(id:1 title:bb body:xxxxxxxx…5000 size:5000 added:later head:BB)",
		"d full_doc before(id:1 title:bb body:xxxxxxxx…5000 size:5000 added:later head:BB) other(id:2)",
		"c full_doc after(id:2 title:bb body:xxxxxxxx…5000 size:5000 added:later head:BB) other(id:1)",
	})
	c.finish()
}

// on15 gives a database of the version that has generated columns and does not log them.
func on15(t *testing.T) (*db, Config) {
	dsn := harness.SharedPostgres(t, 15).NewDatabase()
	return connect(t, dsn), Config{Name: harness.Unique("src"), DSN: dsn, Tables: []string{"public.*"}}
}

// A column that becomes an ordinary one between two questions about its table is asked for again: it must not be
// taken for one that nobody can compute.
func TestGeneratedBetweenTwoQuestions(t *testing.T) {
	d, cfg := on15(t)
	d.run(`CREATE TABLE a (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id + 1) STORED)`)
	s, r, err := openTable(t.Context(), cfg, "public", "a")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	m, err := s.shapeOf(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	c := &catalogue{source: s, left: func(_ *change.Table, column, why string) { t.Errorf("%s is left out: %s", column, why) }}
	all, err := c.attributes(t.Context(), r.OID)
	if err != nil {
		t.Fatal(err)
	}
	d.run(`ALTER TABLE a ALTER g DROP EXPRESSION`)
	if _, _, err := c.describeBy(t.Context(), m, nil, all, false); !errors.Is(err, errMoved) {
		t.Errorf("the columns of before and the expressions of now give %v", err)
	}
	if _, _, err := c.describe(t.Context(), m, nil, false); err != nil {
		t.Error(err)
	}
}

// A row that is read too late gives NULL and is mentioned; the record of its new key has the value.
func TestGeneratedOfRowsThatMoved(t *testing.T) {
	d, cfg := on15(t)
	d.run(`CREATE TABLE doc (id int PRIMARY KEY, title text, body text, size int GENERATED ALWAYS AS (length(title || body)) STORED);
		ALTER TABLE doc ALTER title SET STORAGE EXTERNAL, ALTER body SET STORAGE EXTERNAL`)
	r := newRecorder(t)
	c := start(t, cfg, r)
	c.awaitState(StateStreaming)
	c.finish()
	d.run(`INSERT INTO doc SELECT i, 'a', repeat('x', 5000) FROM generate_series(1, 3) i`)
	d.run(`UPDATE doc SET title = 'bb'`)
	d.run(`UPDATE doc SET id = 10 WHERE id = 1; DELETE FROM doc WHERE id = 2; UPDATE doc SET title = 'ccc' WHERE id = 3`)
	c = start(t, cfg, r)
	expect(t, r.await(10), []string{
		"c doc after(id:1 title:a body:xxxxxxxx…5000 size:5001)", "c doc after(id:2 title:a body:xxxxxxxx…5000 size:5001)", "c doc after(id:3 title:a body:xxxxxxxx…5000 size:5001)",
		"u doc after(id:1 title:bb body:unchanged size:null)", "u doc after(id:2 title:bb body:unchanged size:null)", "u doc after(id:3 title:bb body:unchanged size:5003)",
		"d doc before(id:1) other(id:10)", "c doc after(id:10 title:bb body:unchanged size:5002) other(id:1)", "d doc before(id:2)",
		"u doc after(id:3 title:ccc body:unchanged size:5003)",
	})
	c.finish()
	// What an update of the key leaves alone may be what could not be read before.
	d.run(`UPDATE doc SET title = repeat('y', 3000) WHERE id = 3; UPDATE doc SET id = 30 WHERE id = 3`)
	c = start(t, cfg, r)
	expect(t, r.await(13)[10:], []string{
		"u doc after(id:3 title:yyyyyyyy…3000 body:unchanged size:null)", "d doc before(id:3) other(id:30)",
		"c doc after(id:30 title:unchanged body:unchanged size:8000) other(id:3)",
	})
	c.finish()
}

// A generated column may be part of the key. Where an old key does not say what it is computed from, the
// key of a deleted row cannot be known, and the table is refused.
func TestGeneratedKeys(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE k (a int, g int GENERATED ALWAYS AS (a % 10) STORED NOT NULL, n int, PRIMARY KEY (a, g));
			CREATE TABLE i (id int PRIMARY KEY, g int GENERATED ALWAYS AS (-a) STORED NOT NULL, a int NOT NULL, n int); CREATE UNIQUE INDEX i_key ON i (g, a);
			ALTER TABLE i REPLICA IDENTITY USING INDEX i_key;
			CREATE TABLE f (name text, g text GENERATED ALWAYS AS (lower(name)) STORED PRIMARY KEY); ALTER TABLE f REPLICA IDENTITY FULL`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		c.awaitState(StateStreaming)
		d.run(`INSERT INTO k VALUES (11, DEFAULT, 1); UPDATE k SET n = 2; UPDATE k SET a = 12; DELETE FROM k`)
		d.run(`INSERT INTO i VALUES (1, DEFAULT, 5, 1); UPDATE i SET id = 2; UPDATE i SET a = 6; DELETE FROM i`)
		d.run(`INSERT INTO f VALUES ('A'); UPDATE f SET name = 'a'; UPDATE f SET name = 'B'; DELETE FROM f`)
		expect(t, r.await(15), []string{
			"c k after(a:11 g:1 n:1)", "u k after(a:11 g:1 n:2)", "d k before(a:11 g:1) other(a:12 g:2)", "c k after(a:12 g:2 n:2) other(a:11 g:1)", "d k before(a:12 g:2)",
			"c i after(id:1 g:-5 a:5 n:1)", "u i after(id:2 g:-5 a:5 n:1)", "d i before(g:-5 a:5) other(g:-6 a:6)", "c i after(id:2 g:-6 a:6 n:1) other(g:-5 a:5)", "d i before(g:-6 a:6)",
			"c f after(name:A g:a)", "u f before(name:A g:a) after(name:a g:a)", "d f before(name:a g:a) other(g:b)", "c f after(name:B g:b) other(g:a)", "d f before(name:B g:b)",
		})
		c.finish()
	})
	d, cfg := on15(t)
	d.run(`CREATE TABLE k (name text, g text GENERATED ALWAYS AS (lower(name)) STORED PRIMARY KEY)`)
	c := start(t, cfg, newRecorder(t))
	if err := c.end(); err == nil || !strings.Contains(err.Error(), `ALTER TABLE "public"."k" REPLICA IDENTITY FULL`) || !strings.Contains(err.Error(), "generated column") {
		t.Errorf("the error is %v", err)
	}
	d, cfg = on15(t)
	d.run(`CREATE TABLE k (id int PRIMARY KEY, name text, g text GENERATED ALWAYS AS (lower(name)) STORED NOT NULL)`)
	r := newRecorder(t)
	c = start(t, cfg, r)
	c.awaitState(StateStreaming)
	d.run(`INSERT INTO k VALUES (1, 'A'); ALTER TABLE k DROP CONSTRAINT k_pkey, ADD PRIMARY KEY (g)`)
	d.run(`UPDATE k SET id = 2; DELETE FROM k`)
	if err := c.end(); err == nil || !strings.Contains(err.Error(), "cannot know the key of a row of public.k") {
		t.Errorf("the error is %v", err)
	}
	expect(t, r.await(1), []string{"c k after(id:1 name:A g:a)"})
}

func TestGeneratedOfPartitions(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE p (id int PRIMARY KEY, s text, g text GENERATED ALWAYS AS (s || id) STORED) PARTITION BY RANGE (id);
			CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
			CREATE TABLE p2 (gone int, s text, id int NOT NULL, g text GENERATED ALWAYS AS (s || id) STORED); ALTER TABLE p2 DROP gone;
			ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
			INSERT INTO p VALUES (1, 'a'), (11, 'b')`)
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(2)
		d.run(`INSERT INTO p VALUES (2, 'c'); UPDATE p SET s = 'd' WHERE id = 11; UPDATE p SET id = 12 WHERE id = 1`)
		expect(t, r.await(6), []string{
			"r p after(id:1 s:a g:a1)", "r p after(id:11 s:b g:b11)", "c p after(id:2 s:c g:c2)", "u p after(id:11 s:d g:d11)", "d p before(id:1)", "c p after(id:12 s:a g:a12)",
		})
		c.finish()
	})
}

// Log from before later statements is read by what is known of the columns: renamed inputs, another
// expression, a column that became an ordinary one.
func TestGeneratedInOldLog(t *testing.T) {
	d, cfg := on15(t)
	d.run(`CREATE TABLE a (id int PRIMARY KEY, n int, g int GENERATED ALWAYS AS (n + 1) STORED, h int GENERATED ALWAYS AS (n * 3) STORED);
		CREATE TABLE gone (LIKE a INCLUDING ALL); CREATE TABLE more (id int PRIMARY KEY, n int); CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
		CREATE TABLE lost (id int PRIMARY KEY, n int, g int GENERATED ALWAYS AS (f(n)) STORED); CREATE TABLE typed (LIKE lost INCLUDING ALL)`)
	r := newRecorder(t)
	c := start(t, cfg, r)
	c.awaitState(StateStreaming)
	d.run(`INSERT INTO a VALUES (1, 1); INSERT INTO gone VALUES (1, 1); INSERT INTO more VALUES (1, 1); INSERT INTO lost VALUES (1, 1); INSERT INTO typed VALUES (1, 1)`)
	r.await(5)
	c.finish()
	d.run(`INSERT INTO a VALUES (2, 2); INSERT INTO gone VALUES (2, 2); INSERT INTO more VALUES (2, 2); INSERT INTO lost VALUES (2, 2); INSERT INTO typed VALUES (2, 2)`)
	d.run(`ALTER TABLE a RENAME n TO "N m"; ALTER TABLE a ALTER g DROP EXPRESSION`)
	d.run(`ALTER TABLE more ADD g int GENERATED ALWAYS AS (n * 10) STORED; ALTER TABLE lost DROP g; DROP TABLE gone`)
	d.run(`ALTER TABLE typed DROP g, ALTER n TYPE float4; ALTER TABLE typed ADD g int GENERATED ALWAYS AS (n * 10) STORED`)
	d.run(`INSERT INTO a VALUES (3, 3, 33); INSERT INTO more VALUES (3, 3); INSERT INTO lost VALUES (3, 3); INSERT INTO typed VALUES (3, 3)`)
	cfg.Tables = append(cfg.Tables, "public.gone")
	c = start(t, cfg, r)
	expect(t, r.await(13)[5:], []string{
		"c a after(id:2 n:2 g:3 h:6)", "c gone after(id:2 n:2 g:3 h:6)", "c more after(id:2 n:2 g:20)", "c lost after(id:2 n:2)", "c typed after(id:2 n:2)",
		"c a after(id:3 N m:3 g:33 h:9)", "c more after(id:3 n:3 g:30)", "c lost after(id:3 n:3)", "c typed after(id:3 n:3 g:30)",
	})
	c.finish()
}

// Virtual generated columns are in no log and are computed like the others.
func TestVirtualColumns(t *testing.T) {
	dsn := harness.SharedPostgres(t, 18).NewDatabase()
	d := connect(t, dsn)
	d.run(`CREATE TABLE a (id int PRIMARY KEY, v int GENERATED ALWAYS AS (n + 1) VIRTUAL, n int, s int GENERATED ALWAYS AS (n + 2) STORED); INSERT INTO a (id, n) VALUES (1, 1)`)
	r := newRecorder(t)
	c := start(t, Config{Name: harness.Unique("src"), DSN: dsn, Tables: []string{"public.*"}}, r)
	r.await(1)
	d.run(`INSERT INTO a (id, n) VALUES (2, 2); UPDATE a SET n = 5 WHERE id = 1`)
	r.await(3)
	d.run(`ALTER TABLE a ADD w text GENERATED ALWAYS AS (upper('w' || n)) VIRTUAL`)
	d.run(`DELETE FROM a WHERE id = 2; UPDATE a SET n = 6`)
	expect(t, r.await(5), []string{
		"r a after(id:1 v:2 n:1 s:3)", "c a after(id:2 v:3 n:2 s:4)", "u a after(id:1 v:6 n:5 s:7)", "d a before(id:2)", "u a after(id:1 v:7 n:6 s:8 w:W6)",
	})
	c.finish()
}

// A commit that waits for a synchronous standby is in the log and not visible: what would be read
// before it is not the row of the change.
func TestGeneratedWaitsForTheCommit(t *testing.T) {
	server := harness.Postgres(t, harness.Options{Version: 15, Settings: map[string]string{"synchronous_standby_names": "nobody", "synchronous_commit": "local"}})
	dsn := server.NewDatabase()
	d, other := connect(t, dsn), connect(t, dsn)
	d.run(`CREATE TABLE doc (id int PRIMARY KEY, title text, body text, size int GENERATED ALWAYS AS (length(title || body)) STORED); ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
		INSERT INTO doc VALUES (1, 'a', repeat('x', 5000))`)
	r := newRecorder(t)
	c := start(t, Config{Name: harness.Unique("src"), DSN: dsn, Tables: []string{"public.*"}}, r)
	r.await(1)
	c.awaitState(StateStreaming)
	d.run(`SET synchronous_commit = on`)
	done := make(chan error, 1)
	go func() {
		done <- attempt(d.Conn, `UPDATE doc SET title = 'bb'`)
	}()
	eventually(t, "a question that is too early", func() bool {
		return other.ask(`SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'`) == "1" &&
			other.ask(`SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%pg_locks%' AND pid <> pg_backend_pid()`) != "0"
	})
	other.run(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)
	if err := ended(t, "the update", done); err != nil {
		t.Fatal(err)
	}
	expect(t, r.await(2), []string{"r doc after(id:1 title:a body:xxxxxxxx…5000 size:5001)", "u doc after(id:1 title:bb body:unchanged size:5002)"})
	c.finish()
}

// What keeps a column from being computed is said, with what to do; a column that nothing computes any
// more is left out.
func TestGeneratedThatCannotBeComputed(t *testing.T) {
	d, cfg := on15(t)
	role := harness.Unique("role")
	d.run(`CREATE ROLE ` + role + ` LOGIN REPLICATION; CREATE SCHEMA hidden; CREATE FUNCTION hidden.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
		CREATE TABLE a (id int PRIMARY KEY, g int GENERATED ALWAYS AS (hidden.f(id)) STORED, t text, far text GENERATED ALWAYS AS (t || id) STORED,
			oid oid GENERATED ALWAYS AS (tableoid) STORED); GRANT SELECT ON a TO ` + role)
	t.Cleanup(func() { d.run(`DROP OWNED BY ` + role + `; DROP ROLE ` + role) })
	d.run(`CREATE PUBLICATION ` + New(cfg, nil, logger(t), nil).cfg.Publication + ` FOR TABLE ONLY a WITH (` + (&source{version: 150000}).publicationOptions() + `)`)
	plain := cfg.DSN
	cfg.DSN = strings.Replace(cfg.DSN, "postgres://postgres", "postgres://"+role, 1)
	r := newRecorder(t)
	refused(t, cfg, r, "generated columns g of public.a", "hidden", `TO "`+role+`"`)
	warned(t, cfg, "generated columns (far)")
	cfg.DSN = plain
	c := start(t, cfg, r)
	c.awaitState(StateStreaming)
	d.run(`INSERT INTO a VALUES (1, DEFAULT, 'x')`)
	expect(t, r.await(1), []string{"c a after(id:1 g:2 t:x far:x1)"})
	c.finish()
}

func warned(t *testing.T, cfg Config, words string) {
	t.Helper()
	ctx, cancel := within()
	defer cancel()
	for _, f := range Check(ctx, cfg) {
		if f.Warning && strings.Contains(f.What, words) {
			return
		}
	}
	t.Errorf("no warning says %q", words)
}

// Rows that row security would hide are an error: they would be taken for deleted ones.
func TestGeneratedUnderRowSecurity(t *testing.T) {
	d, cfg := on15(t)
	role := harness.Unique("role")
	d.run(`CREATE ROLE ` + role + ` LOGIN REPLICATION; CREATE TABLE doc (id int PRIMARY KEY, title text, body text, size int GENERATED ALWAYS AS (length(title || body)) STORED);
		ALTER TABLE doc ALTER body SET STORAGE EXTERNAL, ENABLE ROW LEVEL SECURITY; GRANT SELECT ON doc TO ` + role)
	t.Cleanup(func() { d.run(`DROP OWNED BY ` + role + `; DROP ROLE ` + role) })
	d.run(`CREATE PUBLICATION ` + New(cfg, nil, logger(t), nil).cfg.Publication + ` FOR TABLE ONLY doc WITH (` + (&source{version: 150000}).publicationOptions() + `)`)
	cfg.DSN, cfg.Snapshot.Mode = strings.Replace(cfg.DSN, "postgres://postgres", "postgres://"+role, 1), SnapshotNever
	c := start(t, cfg, newRecorder(t))
	c.awaitState(StateStreaming)
	d.run(`INSERT INTO doc VALUES (1, 'a', repeat('x', 5000))`)
	d.run(`UPDATE doc SET title = 'b'`)
	if err := c.end(); err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("the error is %v", err)
	}
}

// Connections that are lost in the middle of questions lose nothing and repeat nothing.
func TestGeneratedOverLostConnections(t *testing.T) {
	d, cfg := on15(t)
	d.run(`CREATE TABLE a (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id * 2) STORED)`)
	r := newRecorder(t)
	c := start(t, cfg, r)
	c.awaitState(StateStreaming)
	var want []string
	for i := range 20 {
		d.run(fmt.Sprintf(`INSERT INTO a SELECT generate_series(%d, %d)`, 100*i+1, 100*i+100))
		d.run(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice' AND datname = current_database() AND backend_type = 'client backend'`)
		for id := 100*i + 1; id <= 100*i+100; id++ {
			want = append(want, fmt.Sprintf("c a after(id:%d g:%d)", id, 2*id))
		}
	}
	expect(t, r.await(2000), want)
	c.finish()
}

// With the event trigger a column is computed from its own statement on, and not before.
func TestGeneratedUnderTheEventTrigger(t *testing.T) {
	d, cfg := on15(t)
	cfg.DDL = DDLTrigger
	d.run(`CREATE TABLE a (id int PRIMARY KEY, n int)`)
	r := newRecorder(t)
	c := start(t, cfg, r)
	c.awaitState(StateStreaming)
	c.finish()
	for _, sql := range []string{
		`INSERT INTO a VALUES (1, 1)`, `ALTER TABLE a ADD g int GENERATED ALWAYS AS (n + 1) STORED`, `INSERT INTO a VALUES (2, 2)`,
		`ALTER TABLE a RENAME n TO m`, `INSERT INTO a VALUES (3, 3)`, `ALTER TABLE a ALTER g DROP EXPRESSION`, `INSERT INTO a VALUES (4, 4, 44)`,
	} {
		d.run(sql)
	}
	c = start(t, cfg, r)
	r.await(4)
	d.run(`ALTER TABLE a ADD h int GENERATED ALWAYS AS (m * 2) STORED`)
	d.run(`INSERT INTO a VALUES (5, 5, 55)`)
	expect(t, r.await(5), []string{
		"c a after(id:1 n:1)", "c a after(id:2 n:2 g:3)", "c a after(id:3 m:3 g:4)", "c a after(id:4 m:4 g:44)", "c a after(id:5 m:5 g:55 h:10)",
	})
	c.finish()
}
