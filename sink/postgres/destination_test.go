package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
	"github.com/sluicecdc/sluice/transform"
)

func fresh(t *testing.T) *database {
	t.Helper()
	return newDatabase(t, harness.SharedPostgres(t, 15))
}

// A value that moves between rows of a unique column has an order that a collapsed batch has not.
func TestUniqueValuesThatMove(t *testing.T) {
	d := fresh(t)
	d.exec(t, "CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE)")
	s := d.resumed(t, hard("users"))
	users := table("users", "id integer", "email text")
	mustApply(t, s, create(users, "1", "a"), create(users, "2", "b"))
	mustApply(t, s, update(users, "2", "c"), update(users, "1", "b"), update(users, "2", "a"))
	d.want(t, "SELECT * FROM users ORDER BY id", "1|b", "2|a")
	open := &sink.Batch{Open: true, Changes: []change.Change{update(users, "2", "x")}}
	if err := s.Apply(context.Background(), open); err != nil {
		t.Fatal(err)
	}
	open.Changes = []change.Change{update(users, "2", "y"), update(users, "1", "x"), create(users, "3", "b")}
	if err := s.Apply(context.Background(), open); err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, update(users, "3", "z"), update(users, "1", "b"), create(users, "0", "x"))
	d.want(t, "SELECT * FROM users ORDER BY id", "0|x", "1|b", "2|y", "3|z")
}

func TestForeignKeys(t *testing.T) {
	d := fresh(t)
	d.exec(t, `CREATE TABLE parents (id int PRIMARY KEY);
		CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents)`)
	s := d.resumed(t, hard("parents", "children"))
	parents, children := table("parents", "id integer"), table("children", "id integer", "parent integer")
	mustApply(t, s, create(parents, "1"), create(children, "1", "1"), create(parents, "2"), create(children, "2", "2"))
	mustApply(t, s, remove(children, "1", "<null>"), create(parents, "3"), remove(parents, "1"), create(children, "3", "3"))
	d.want(t, "SELECT * FROM children ORDER BY id", "2|2", "3|3")
	err := apply(s, create(children, "4", "2"), create(children, "5", "99"))
	wantError(t, err, `"public"."children"`, "row id=5", "constraint")
}

func TestErrorsNameTheRow(t *testing.T) {
	d := fresh(t)
	d.exec(t, "CREATE TABLE goods (id int PRIMARY KEY, price numeric(4,2), code varchar(3), fixed char(2), flags bit(3))")
	s := d.resumed(t, hard("goods"))
	goods := table("goods", "id integer", "price numeric", "code text", "fixed text", "flags text")
	for _, c := range []struct{ name, price, code, fixed, flags, column string }{
		{"numeric overflow", "100.00", "abc", "ab", "101", "price"},
		{"text too long", "1.00", "abcd", "ab", "101", "code"},
		{"char too long", "1.00", "abc", "abc", "101", "fixed"},
		{"bit too long", "1.00", "abc", "ab", "1011", "flags"},
		{"no number", "x", "abc", "ab", "101", "price"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := apply(s, create(goods, "1", "1.00", "abc", "ab", "101"), create(goods, "2", c.price, c.code, c.fixed, c.flags))
			wantError(t, err, "sink billing", `"public"."goods"`, "row id=2", `column "`+c.column+`"`, "widen")
			d.want(t, "SELECT count(*) FROM goods", "0")
		})
	}
	mustApply(t, s, create(goods, "1", "1.00", "abc", "ab", "101"))
}

func TestTableThatIsThere(t *testing.T) {
	d := fresh(t)
	tb := table("t", "id integer", "v varchar(10)", "new numeric(5,1)")
	d.exec(t, "CREATE TABLE t (id int, v text)")
	s := d.resumed(t, hard("t"))
	wantError(t, apply(s, create(tb, "1", "a", "1.5")), `ALTER TABLE "public"."t" ADD PRIMARY KEY ("id")`)
	d.want(t, "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'new'", "0")
	d.exec(t, "ALTER TABLE t ADD PRIMARY KEY (id)")
	mustApply(t, s, create(tb, "1", "a", "1.5"))
	d.want(t, "SELECT * FROM t", "1|a|1.5")
	_ = s.Close()

	no := false
	c := hard("t")
	c.Create, c.Evolve = &no, sink.EvolveNone
	s = d.resumed(t, c)
	wider := table("t", "id integer", "v varchar(10)", "new numeric(5,1)", "more mood")
	wantError(t, apply(s, create(wider, "2", "b", "2.5", "happy")), `ALTER TABLE "public"."t" ADD COLUMN "more" text`)
	_ = s.Close()

	c = hard("t", "absent")
	c.Create = &no
	c.Tables[0].Columns = transform.Plain("id", "id", "typo", "v")
	s = d.resumed(t, c)
	wantError(t, apply(s, create(table("t", "id integer", "typo varchar(10)"), "3", "c")), `ADD COLUMN "typo" varchar(10)`)
	wantError(t, apply(s, create(table("absent", "id integer", "x text"), "3", "c")), `CREATE TABLE "public"."absent" ("id" integer NOT NULL, "x" text, PRIMARY KEY ("id"))`)
}

func TestNewColumnInTheSameTransaction(t *testing.T) {
	d := fresh(t)
	s := d.resumed(t, hard("t"))
	v1, v2 := table("t", "id integer", "v text"), table("t", "id integer", "v text", "w integer")
	mustApply(t, s, create(v1, "1", "a"), create(v1, "2", "b"), update(v2, "1", "a", "7"), create(v2, "3", "c", "8"))
	d.want(t, "SELECT * FROM t ORDER BY id", "1|a|7", "2|b|<null>", "3|c|8")
	v3 := table("t", "id integer", "v text", "w integer", "x integer")
	wantError(t, apply(s, create(v3, "4", "d", "9", "no number")), "row id=4")
	d.want(t, "SELECT * FROM t ORDER BY id", "1|a|7", "2|b|<null>", "3|c|8")
	// A dropped column stays at the destination.
	v4 := table("t", "id integer", "w integer", "x integer")
	mustApply(t, s, create(v3, "4", "d", "9", "1"), create(v4, "5", "10", "2"))
	d.want(t, "SELECT * FROM t WHERE id > 3 ORDER BY id", "4|d|9|1", "5|<null>|10|2")
}

func TestColumnsOfOtherKinds(t *testing.T) {
	d := fresh(t)
	d.exec(t, `CREATE DOMAIN code AS varchar(4) CHECK (VALUE <> 'bad');
		CREATE TYPE mood AS ENUM ('sad', 'ok');
		CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, c code, m mood[], own text DEFAULT 'mine') PARTITION BY RANGE (id);
		CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
		CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20);
		CREATE TABLE g (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id + 1) STORED);
		CREATE VIEW w AS SELECT * FROM g`)
	s := d.resumed(t, hard("t", "g", "w"))
	tb := table("t", "id integer", "c code", "m mood[]")
	mustApply(t, s, create(tb, "5", "abcd", "{sad,NULL}"), create(tb, "15", "x", "{}"))
	mustApply(t, s, update(tb, "15", "y", "<unchanged>"), remove(tb, "5", "<null>", "<null>"))
	d.want(t, "SELECT * FROM t", "15|y|{}|mine")
	wantError(t, apply(s, create(tb, "6", "bad", "{}")), "row id=6")
	wantError(t, apply(s, create(tb, "6", "abcde", "{}")), "row id=6", `column "c"`)
	wantError(t, apply(s, create(table("g", "id integer", "v integer"), "6", "7")), "generated", `"v"`)
	wantError(t, apply(s, create(table("w", "id integer", "v integer"), "6", "7")), "not a table")
}

func TestTypesRoundTrip(t *testing.T) {
	d := fresh(t)
	types := map[string][]string{
		"boolean": {"t"}, "smallint": {"-32768"}, "bigint": {"9223372036854775807"}, "real": {"1.1754944e-38", "NaN", "-0"},
		"double precision": {"5e-324", "-Infinity"}, "numeric": {"NaN", "0.00000000000000000000000000000000001", "12345678901234567890.10"}, "numeric(38,10)": {"1234567890123456789012345678.0123456789"},
		"text": {`a"b\c,{}`, ""}, "character varying(5)": {"abc"}, "character(5)": {"ab   "}, `"char"`: {"x"}, "name": {"n"}, "bytea": {`\x00ff5c`},
		"uuid": {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, "json": {`{"b": 1.10,  "a":[1e400]}`}, "jsonb": {`{"a": [1.10, "\\\""]}`}, "xml": {"<a>&lt;</a>"},
		"date": {"infinity", "0044-03-15 BC"}, "time without time zone": {"24:00:00"}, "time with time zone": {"10:00:00.000001+15:59"},
		"timestamp without time zone": {"294276-12-31 23:59:59.999999", "-infinity"}, "timestamp with time zone": {"2026-02-03 04:05:06.789012+00"},
		"interval": {"P1Y2M-3DT-3H-59M-54.999994S", "PT0S"}, "inet": {"::1/64"}, "cidr": {"10.0.0.0/8"}, "macaddr": {"08:00:2b:01:02:03"}, "money": {"-$1,234.56"},
		"bit(3)": {"101"}, "bit varying": {"", "10101"}, "point": {"(1,2)"}, "box": {"(3,4),(1,2)"}, "int4range": {"[1,5)", "empty"}, "pg_lsn": {"16/B374D848"},
		"tsvector": {"'a':1 'b''c':2A"}, "integer[]": {"{1,NULL,-2}", "{}", "{{1,2},{3,4}}", "[0:1]={1,2}"}, "text[]": {`{"a,b","\"","\\",NULL,"NULL",""}`}, "box[]": {"{(3,4),(1,2);(1,1),(0,0)}"},
		"bytea[]": {`{"\\x00"}`}, "numeric(5,2)[]": {"{1.50}"}, "interval[]": {"{P1D}"}, "int4multirange": {"{[1,3),[5,7)}"},
	}
	i := 0
	for typ, values := range types {
		i++
		name := "t" + strings.Repeat("x", i)
		tb := table(name, "id integer", "v "+typ)
		keyless := table(name+"k", "id integer", "v "+typ)
		keyless.Key = nil
		s := d.resumed(t, hard(name, name+"k"))
		var many []change.Change
		for n := range 300 {
			many = append(many, create(tb, itoa(n+100), values[n%len(values)]), create(keyless, itoa(n+100), values[n%len(values)]))
		}
		mustApply(t, s, many...)
		for n, v := range values {
			mustApply(t, s, create(tb, itoa(n), v), create(keyless, itoa(n), v), create(tb, "50", "<null>"))
			mustApply(t, s, change.Change{Op: change.Delete, Table: keyless, BeforeKind: change.BeforeFull, Before: row(itoa(n+100), v)})
		}
		d.exec(t, "SET intervalstyle = iso_8601; SET timezone = UTC")
		var want []string
		for n, v := range values {
			want = append(want, itoa(n)+"|"+v)
		}
		d.want(t, "SELECT id, v FROM "+name+" WHERE id < 50 ORDER BY id", want...)
		d.want(t, "SELECT count(*), count(DISTINCT v::text) FROM "+name+" WHERE id >= 100", "300|"+itoa(len(values)))
		d.want(t, "SELECT count(*) FROM "+name+"k", "300")
		d.want(t, "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'v' AND attrelid = '"+name+"'::regclass", typ)
		_ = s.Close()
	}
}

func TestLostConnection(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	d := fresh(t)
	s := d.open(t, hard("t"))
	defer s.Close()
	ctx := context.Background()
	if _, err := s.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	tb := table("t", "id integer", "v text")
	mustApply(t, s, create(tb, "1", "a"))
	at := lastCommit()
	d.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice' AND datname = current_database()")
	err := apply(s, create(tb, "2", "b"))
	if !sink.Retryable(err) {
		t.Fatalf("want a retryable error, got %v", err)
	}
	t.Log(err)
	if cp := d.takeBack(t, s); cp.Commit != at {
		t.Fatalf("Resume gives %v", cp)
	}
	mustApply(t, s, create(tb, "2", "b"))
	d.want(t, "SELECT * FROM t ORDER BY id", "1|a", "2|b")
}

func TestCancelledApplyLeavesNothing(t *testing.T) {
	d := fresh(t)
	s := d.resumed(t, hard("t"))
	tb := table("t", "id integer", "v text")
	mustApply(t, s, create(tb, "1", "a"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := s.Apply(ctx, &sink.Batch{Changes: []change.Change{update(tb, "1", "b")}, Checkpoint: sink.Checkpoint{Commit: lastCommit() + 5}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if cp, err := s.Resume(context.Background()); err != nil || cp.Commit != lastCommit() {
		t.Fatalf("Resume gives %v, %v", cp, err)
	}
	d.want(t, "SELECT * FROM t", "1|a")
}

// States of rows, not steps: an older batch given again, with a checkpoint of its own, converges.
func TestOlderBatchesAgain(t *testing.T) {
	d := fresh(t)
	s := d.resumed(t, hard("t"))
	tb := table("t", "id integer", "v text")
	moved := []change.Change{remove(tb, "1", "<null>"), create(tb, "3", "<unchanged>")}
	moved[0].OtherKey, moved[1].OtherKey = row("3", "<null>"), row("1", "<null>")
	history := [][]change.Change{
		{create(tb, "1", "a"), create(tb, "2", "b")}, moved, {update(tb, "2", "c"), create(tb, "4", "d")}, {remove(tb, "4", "<null>"), update(tb, "3", "e")},
	}
	for range 2 {
		for _, cs := range history {
			mustApply(t, s, cs...)
		}
	}
	d.want(t, "SELECT * FROM t ORDER BY id", "2|c", "3|e")
}

func TestReaderSeesWholeBatches(t *testing.T) {
	d := fresh(t)
	s := d.resumed(t, hard("a", "b"))
	a, b := table("a", "id integer", "v integer"), table("b", "id integer", "v integer")
	mustApply(t, s, create(a, "1", "50"), create(b, "1", "50"))
	d.exec(t, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT sum(v) FROM a")
	mustApply(t, s, change.Change{Op: change.Truncate, Table: b}, update(a, "1", "100"))
	d.want(t, "SELECT (SELECT sum(v) FROM a) + (SELECT sum(v) FROM b)", "100")
	d.exec(t, "COMMIT")
	d.want(t, "SELECT (SELECT sum(v) FROM a), (SELECT sum(v) FROM b)", "100|<null>")
}

func TestPrivileges(t *testing.T) {
	d := fresh(t)
	role := harness.Unique("writer")
	d.exec(t, "CREATE ROLE "+role+" LOGIN PASSWORD 'sesame'")
	t.Cleanup(func() { d.exec(t, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	admin := d.dsn
	d.dsn = withUser(t, admin, role, "sesame")
	s := d.open(t, hard("t"))
	ctx := context.Background()
	_, err := s.Resume(ctx)
	wantError(t, err, "GRANT CREATE ON DATABASE", `TO "`+role+`"`)
	if f := faults(s.Check(ctx)); len(f) != 2 || !strings.Contains(f[0].Fix, "GRANT CREATE ON DATABASE") || !strings.Contains(f[1].Fix, `GRANT USAGE, CREATE ON SCHEMA "public"`) {
		t.Errorf("Check found %+v", f)
	}
	d.exec(t, f0(faults(s.Check(ctx))))
	if _, err := s.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tb := table("t", "id integer", "v text")
	wantError(t, apply(s, create(tb, "1", "a")), `GRANT USAGE, CREATE ON SCHEMA "public" TO "`+role+`"`)
	d.exec(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	wantError(t, apply(s, create(tb, "1", "a")), `GRANT SELECT, INSERT, UPDATE, DELETE ON "public"."t" TO "`+role+`"`)
	if f := faults(s.Check(ctx)); len(f) != 1 || !strings.Contains(f[0].Fix, `GRANT SELECT, INSERT, UPDATE, DELETE ON "public"."t"`) {
		t.Errorf("Check found %+v", f)
	}
	d.exec(t, f0(faults(s.Check(ctx))))
	mustApply(t, s, create(tb, "1", "a"))
}

func TestSecretsAreNotPrinted(t *testing.T) {
	d := fresh(t)
	for _, dsn := range []string{withUser(t, d.dsn, "nobody_here", "hunter2"), "postgres://u:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@127.0.0.1:x/y", "host=/ password=hunter2 port=zz"} {
		o := postgres.Options{Config: postgres.Config{DSN: dsn}, Name: "billing", Source: "crm"}
		s, err := postgres.New(o)
		if err == nil {
			_, err = s.Resume(context.Background())
		}
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v", err)
		}
		t.Log(err)
	}
}

// The tables of a version before get what is new.
func TestProgressOfAnOlderVersion(t *testing.T) {
	d := fresh(t)
	s := d.resumed(t, hard("t"))
	tb := table("t", "id integer", "v text")
	mustApply(t, s, create(tb, "1", "a"))
	_ = s.Close()
	d.exec(t, "ALTER TABLE sluice.progress DROP COLUMN parked")
	mustApply(t, d.resumed(t, hard("t")), create(tb, "2", "b"))
	d.want(t, "SELECT parked FROM sluice.progress", "0")
}

func TestTeardown(t *testing.T) {
	d := fresh(t)
	s := d.resumed(t, hard("t"))
	tb := table("t", "id integer", "v text")
	mustApply(t, s, create(tb, "1", "a"))
	ctx := context.Background()
	other := d.open(t, hard("t"))
	if err := other.Teardown(ctx); !errors.Is(err, sink.ErrLeased) {
		t.Fatalf("teardown under a running process: %v", err)
	}
	_ = s.Close()
	d.exec(t, "INSERT INTO sluice.progress (sink, source) VALUES ('other', 'crm')")
	if err := other.Teardown(ctx); err != nil {
		t.Fatal(err)
	}
	d.want(t, "SELECT sink FROM sluice.progress", "other")
	d.exec(t, "DELETE FROM sluice.progress")
	for range 2 {
		if err := other.Teardown(ctx); err != nil {
			t.Fatal(err)
		}
	}
	d.want(t, "SELECT to_regclass('sluice.progress'), (SELECT count(*) FROM pg_namespace WHERE nspname = 'sluice'), (SELECT count(*) FROM t)", "<null>|0|1")
}

func TestCheckFindsWhatIsMissing(t *testing.T) {
	d := fresh(t)
	d.exec(t, "CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW v AS SELECT 1 AS id")
	no, off := false, "f"
	c := hard("t", "v", "absent")
	c.Create, c.Evolve = &no, sink.EvolveNone
	c.Tables[0].Deletes = sink.Deletes{Policy: sink.DeleteSoft, Set: []sink.Assignment{{Column: "active", Value: &off}}}
	s := d.open(t, c)
	found := faults(s.Check(context.Background()))
	if len(found) != 3 {
		t.Fatalf("found %+v", found)
	}
	for i, words := range []string{`no column "active"`, "not a table", "does not exist"} {
		if !strings.Contains(found[i].Fault, words) || found[i].Fix == "" {
			t.Errorf("found %+v, want %q and a fix", found[i], words)
		}
	}
	d.want(t, "SELECT count(*) FROM pg_namespace WHERE nspname = 'sluice'", "0")
}
