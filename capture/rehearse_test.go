package capture

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

// shapeText writes a state as "schema.table identity name:type ... key(i, ...)".
func shapeText(s *TableState) string {
	if s == nil {
		return "gone"
	}
	t := s.Table
	var b strings.Builder
	fmt.Fprintf(&b, "%s %c", t.QualifiedName(), t.Identity)
	for _, c := range t.Columns {
		if slices.ContainsFunc(s.Columns, func(k CatalogueColumn) bool { return k.Name == c.Name && k.Generated }) {
			continue
		}
		fmt.Fprintf(&b, " %s:%s", c.Name, c.Type.Name)
	}
	fmt.Fprintf(&b, " key%v", t.Key)
	return b.String()
}

// rehearseOne wants one statement to be about one table.
func rehearseOne(t *testing.T, cfg Config, sql string) (*TableChange, error) {
	t.Helper()
	all, err := Rehearse(t.Context(), cfg, sql)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 || len(all[0].Tables) != 1 {
		return nil, fmt.Errorf("it is about %+v, not one table", all)
	}
	return &all[0].Tables[0], nil
}

func TestRehearse(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE DOMAIN cents AS numeric(12,2);
			CREATE TABLE parent (id int PRIMARY KEY);
			CREATE TABLE a (gone int, id int, n int, s varchar(20), price cents, twice int GENERATED ALWAYS AS (n * 2) STORED,
				CONSTRAINT a_first PRIMARY KEY (id), CONSTRAINT of_parent FOREIGN KEY (n) REFERENCES parent);
			ALTER TABLE a DROP COLUMN gone;
			CREATE UNIQUE INDEX by_s ON a (s);
			CREATE INDEX by_n ON a (n) WHERE n > 0;
			INSERT INTO parent VALUES (1); INSERT INTO a VALUES (1, 1, 'x', 1.5)`)
		const rest = " key[0]"
		for sql, want := range map[string]struct{ shape, reread string }{
			"ALTER TABLE public.a ADD COLUMN b boolean":               {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2) b:boolean" + rest, ""},
			"ALTER TABLE a ADD b int DEFAULT 7, DROP COLUMN price":    {"public.a d id:integer n:integer s:character varying(20) b:integer" + rest, ""},
			"ALTER TABLE a ADD b int DEFAULT 7, ALTER id TYPE bigint": {"public.a d id:bigint n:integer s:character varying(20) price:numeric(12,2) b:integer" + rest, "column b: the rows that are there get the default 7, and as the statement writes the table anew"},
			"ALTER TABLE a ALTER s TYPE varchar(20) USING upper(s)":   {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2)" + rest, "column s: the values of the rows that are there are computed anew by the expression"},
			"ALTER TABLE a ALTER id TYPE bigint USING id::bigint":     {"public.a d id:bigint n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"ALTER TABLE a ADD b int REFERENCES parent (id) ON DELETE SET NULL DEFERRABLE, ADD FOREIGN KEY (n) REFERENCES parent": {
				"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2) b:integer" + rest, ""},
			"ALTER TABLE a ADD b int -- one, and\n, DROP price /* two */ -- done":     {"public.a d id:integer n:integer s:character varying(20) b:integer" + rest, ""},
			"ALTER TABLE a OWNER TO nobody, ENABLE TRIGGER ALL":                       {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"CREATE UNIQUE INDEX CONCURRENTLY ON a (n) WHERE n > 0":                   {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"DROP INDEX CONCURRENTLY IF EXISTS public.by_s":                           {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"ALTER INDEX by_s RENAME TO by_title":                                     {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"TRUNCATE a":                                                              {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"ALTER TABLE a ADD b uuid DEFAULT gen_random_uuid()":                      {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2) b:uuid" + rest, "value of their own"},
			"ALTER TABLE a ADD b serial":                                              {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2) b:integer" + rest, "value of their own"},
			"ALTER TABLE a RENAME COLUMN s TO title":                                  {"public.a d id:integer n:integer title:character varying(20) price:numeric(12,2)" + rest, ""},
			"ALTER TABLE a ALTER id TYPE bigint":                                      {"public.a d id:bigint n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"ALTER TABLE a ALTER id TYPE bigint USING id * 2":                         {"public.a d id:bigint n:integer s:character varying(20) price:numeric(12,2)" + rest, "computed anew"},
			"ALTER TABLE a ALTER price TYPE numeric(14,4)":                            {"public.a d id:integer n:integer s:character varying(20) price:numeric(14,4)" + rest, "computed anew"},
			"ALTER TABLE a ALTER s TYPE text":                                         {"public.a d id:integer n:integer s:text price:numeric(12,2)" + rest, ""},
			"ALTER TABLE a ALTER twice DROP EXPRESSION":                               {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2) twice:integer" + rest, ""},
			"ALTER TABLE a REPLICA IDENTITY FULL":                                     {"public.a f id:integer n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"ALTER TABLE a ALTER s SET NOT NULL, REPLICA IDENTITY USING INDEX by_s":   {"public.a i id:integer n:integer s:character varying(20) price:numeric(12,2) key[2]", ""},
			"ALTER TABLE a DROP CONSTRAINT of_parent":                                 {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"ALTER TABLE a DROP CONSTRAINT a_first":                                   {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2) key[]", ""},
			"ALTER TABLE a RENAME TO b":                                               {"public.b d id:integer n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"ALTER TABLE a SET SCHEMA elsewhere":                                      {"elsewhere.a d id:integer n:integer s:character varying(20) price:numeric(12,2)" + rest, ""},
			"DROP TABLE a":                                                            {"gone", ""},
			"ALTER TABLE a DROP CONSTRAINT a_first, ADD PRIMARY KEY USING INDEX by_s": {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2) key[2]", ""},
		} {
			got, err := rehearseOne(t, cfg, sql)
			if err != nil {
				t.Errorf("%s: %v", sql, err)
				continue
			}
			if s := shapeText(got.After); s != want.shape {
				t.Errorf("%s\n  gives %s\n  want  %s", sql, s, want.shape)
			}
			if why := strings.Join(got.Reread, "; "); (why == "") != (want.reread == "") || !strings.Contains(why, want.reread) {
				t.Errorf("%s: the reasons to read rows again are %q, want %q", sql, why, want.reread)
			}
			if wrong := got.After != nil && (got.After.Fault != "") != (len(got.After.Table.Key) == 0); wrong {
				t.Errorf("%s: key %v, fault %q", sql, got.After.Table.Key, got.After.Fault)
			}
			if got.Captured != (got.After != nil && got.After.Table.Schema == "public") {
				t.Errorf("%s: still captured: %v", sql, got.Captured)
			}
		}
		if left := d.ask(`SELECT count(*)::text FROM pg_class WHERE relpersistence = 't' OR relname = 'b'`); left != "0" {
			t.Errorf("%s relations were left behind", left)
		}
		if row := d.ask(`SELECT a::text FROM a`); row != "(1,1,x,1.50,2)" {
			t.Errorf("the table holds %s", row)
		}
	})
}

// Names that must be quoted, partitions, and an index that is no constraint.
func TestRehearseOddTables(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE SCHEMA "Odd ""S"; CREATE TYPE "Odd ""S".mood AS ENUM ('ok');
			CREATE TABLE "Odd ""S"."my.t" ("Id no" int, at date NOT NULL, m "Odd ""S".mood, PRIMARY KEY ("Id no", at)) PARTITION BY RANGE (at);
			CREATE TABLE "Odd ""S".first PARTITION OF "Odd ""S"."my.t" DEFAULT;
			CREATE UNIQUE INDEX "by ""at" ON "Odd ""S"."my.t" (at, "Id no") WHERE "Id no" > 0`)
		cfg.Tables = []string{`"Odd ""S".*`}
		got, err := rehearseOne(t, cfg, `ALTER TABLE "Odd ""S"."my.t" ADD "new one" text[], RENAME "Id no" TO id`)
		if err == nil {
			t.Errorf("two statements in one give %+v", got)
		}
		got, err = rehearseOne(t, cfg, `ALTER TABLE IF EXISTS ONLY "Odd ""S"."my.t" ADD "new one" text[], ALTER at SET DEFAULT now()`)
		if err != nil {
			t.Fatal(err)
		}
		if s, want := shapeText(got.After), `Odd "S.my.t d Id no:integer at:date m:"Odd ""S".mood new one:text[] key[0 1]`; s != want {
			t.Errorf("the shape is %s, want %s", s, want)
		}
	})
}

func TestRehearseRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED); CREATE SCHEMA s; CREATE TABLE s.a (id int PRIMARY KEY); CREATE TABLE s.b (id int PRIMARY KEY);
			CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY REFERENCES parent)`)
		for sql, says := range map[string]string{
			"ALTER TABLE a DROP COLUMN x":                              `column "x" of relation "a" does not exist`,
			"ALTER TABLE a ALTER n TYPE bigint":                        "generated column",
			"ALTER TABLE a ADD":                                        "syntax error",
			"ALTER TABLE nobody ADD c int":                             "there is no table nobody at the source",
			"ALTER TABLE a ADD c int; COMMIT; ALTER TABLE a ADD c int": "statement 3 of 3",
			"ALTER TABLE a ADD c int INHERIT":                          "syntax error",
			"ALTER TABLE a SET UNLOGGED":                               "is in publication",
			"ALTER TABLE a RENAME TO a":                                "there is a table public.a already",
			"ALTER TABLE a DETACH PARTITION s.a":                       "not a partition",
			"CREATE TABLE s.b (id int)":                                "there is a table s.b already",
			"CREATE TABLE c (id int, id int)":                          "specified more than once",
			"DROP INDEX a_pkey":                                        "requires it",
			"DROP INDEX nobody":                                        "no index nobody",
			"ALTER TYPE nobody ADD VALUE 'x'":                          "no enum, composite type or domain nobody",
			"TRUNCATE parent":                                          "referenced in a foreign key",
		} {
			_, err := Rehearse(t.Context(), cfg, sql)
			var fault *StatementError
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s gives %v, want it to say %q", sql, err, says)
			}
		}
		cfg.Tables = append(cfg.Tables, "s.*")
		if _, err := Rehearse(t.Context(), cfg, "ALTER TABLE a ADD c int"); err == nil || !strings.Contains(err.Error(), "write the schema before the name") {
			t.Errorf("two tables of one name give %v", err)
		}
	})
}

// Statements are about what the ones before them have left.
func TestRehearseInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE SCHEMA s; CREATE TABLE a (gone int, id int PRIMARY KEY, n int DEFAULT 1); ALTER TABLE a DROP COLUMN gone, ADD old int DEFAULT 5; CREATE TABLE s.plain (id int)`)
		for sql, want := range map[string]string{
			"ALTER TABLE a ADD b int DEFAULT 7; ALTER TABLE a ALTER id TYPE bigint": `
				public.a d id:integer n:integer old:integer b:integer key[0]
				public.a d id:bigint n:integer old:integer b:integer key[0] | column b: the rows that are there have the default that it was just added with | column old: rows that are older`,
			"BEGIN; ALTER TABLE a RENAME TO b; ALTER TABLE b DROP n; ALTER TABLE b SET SCHEMA s; COMMIT": `
				public.b d id:integer n:integer old:integer key[0]
				public.b d id:integer old:integer key[0]
				s.b d id:integer old:integer key[0] lost`,
			"DROP TABLE a; CREATE TABLE a (id bigint PRIMARY KEY, a int REFERENCES s.plain)": `
				gone
				public.a d id:bigint a:integer key[0] | within 10 s`,
			"CREATE TABLE c (x text); CREATE UNIQUE INDEX i ON c (x); ALTER TABLE c ALTER x SET NOT NULL, REPLICA IDENTITY USING INDEX i; DROP INDEX i": `
				public.c d x:text key[] fault | within 10 s
				public.c d x:text key[] fault
				public.c i x:text key[0]
				public.c i x:text key[] fault`,
			"ALTER TABLE s.plain SET SCHEMA public; DROP TABLE IF EXISTS nobody; CREATE TABLE IF NOT EXISTS a (x int)": `
				public.plain d id:integer key[] fault | within 10 s`,
			"CREATE TABLE c AS SELECT * FROM a WITH DATA; CREATE TABLE s.d AS SELECT 1/0 AS never -- run\n; CREATE TEMP TABLE tt (x int); CREATE UNLOGGED TABLE u (x int PRIMARY KEY); ALTER TABLE u SET LOGGED": `
				public.c d id:integer n:integer old:integer key[] fault | within 10 s
				public.u d x:integer key[0] | within 10 s`,
		} {
			all, err := Rehearse(t.Context(), cfg, sql)
			if err != nil {
				t.Errorf("%s: %v", sql, err)
				continue
			}
			wantChanges(t, sql, all, want)
		}
	})
}

// wantChanges compares what became of tables, one on a line: its shape, and behind bars what is said of it,
// of which a part is enough.
func wantChanges(t *testing.T, sql string, all []Rehearsal, want string) {
	t.Helper()
	var got [][]string
	for i := range all {
		for k := range all[i].Tables {
			got = append(got, said(&all[i].Tables[k]))
		}
	}
	agrees := func(got []string, line string) bool {
		parts := strings.Split(strings.TrimSpace(line), " | ")
		return got[0] == parts[0] && slices.EqualFunc(got, parts, strings.Contains)
	}
	if !slices.EqualFunc(got, strings.Split(strings.TrimSpace(want), "\n"), agrees) {
		t.Errorf("%s\n  gives %q\n  want  %s", sql, got, want)
	}
}

// said gives a table's shape and all that is said of it.
func said(c *TableChange) []string {
	shape := shapeText(c.After)
	switch {
	case c.After == nil:
	case !c.Captured:
		shape += " lost"
	case c.After.Fault != "":
		shape += " fault"
	}
	return slices.Concat([]string{shape}, c.Faults, c.Reread, c.Notes)
}

// The numbers of columns and what older rows have are those of the table, not of its stand-in.
func TestRehearseKeepsNumbers(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (gone int, id int PRIMARY KEY, n int); ALTER TABLE a DROP COLUMN gone; ALTER TABLE a ADD old int DEFAULT 5`)
		c, err := rehearseOne(t, cfg, "ALTER TABLE a ADD b int DEFAULT 7, DROP n")
		if err != nil {
			t.Fatal(err)
		}
		d.run(`ALTER TABLE a ADD b int DEFAULT 7, DROP n`)
		real, err := Inspect(t.Context(), cfg, "public", "a")
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(c.After, real) {
			t.Errorf("the rehearsal has\n%+v\nand the statement makes\n%+v", c.After.Table, real.Table)
		}
	})
}

func TestRehearsePartitions(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE parent (id int PRIMARY KEY); CREATE SCHEMA s;
			CREATE TABLE p (id int, day date, of int REFERENCES parent, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
			CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
			CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
			INSERT INTO p (id, day) VALUES (1, '2026-01-02');
			CREATE TABLE q (id int NOT NULL, day date NOT NULL, of int); INSERT INTO q VALUES (1, '2026-03-02');
			CREATE TABLE h (id int PRIMARY KEY) PARTITION BY HASH (id); CREATE TABLE h1 PARTITION OF h FOR VALUES WITH (MODULUS 1, REMAINDER 0);
			CREATE TABLE f (id int) PARTITION BY LIST (id); ALTER TABLE f REPLICA IDENTITY FULL`)
		const p, h, f = "public.p d id:integer day:date of:integer key[0 1]", "public.h d id:integer key[0]", "public.f f id:integer key[]"
		for sql, want := range map[string]string{
			"ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')": p + " | become rows of public.p | come under the name of public.p | was captured by itself",
			"CREATE TABLE p3 PARTITION OF p DEFAULT":                                            p + " | come under the name of public.p",
			"CREATE TABLE h2 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 1)":           h + " | come under the name",
			"CREATE TABLE f1 PARTITION OF f FOR VALUES IN (1)":                                  f + " | partition public.f1 has no usable replica identity | come under",
			"ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY":                                    p + " | they leave public.p without a delete in the log\npublic.p1 d id:integer day:date of:integer key[0 1] | the rows that it has",
			"ALTER TABLE p DETACH PARTITION p2; DROP TABLE p2":                                  p + " | is empty\npublic.p2 d id:integer day:date of:integer key[0 1] | 10 s\ngone",
			"DROP TABLE p1":           p + " | they go without a delete in the log",
			"TRUNCATE p1":             p + " | that of one partition",
			"TRUNCATE p":              p,
			"TRUNCATE parent CASCADE": "public.parent d id:integer key[0]\n" + p + " | with the tables that the statement names",
			"ALTER TABLE p1 REPLICA IDENTITY NOTHING":         p + " | partition public.p1 has no usable replica identity | come under",
			"ALTER TABLE p ALTER id TYPE bigint USING id * 2": "public.p d id:bigint day:date of:integer key[0 1] | by the expression after USING",
			"ALTER TABLE p ADD x int DEFAULT 7; ALTER TABLE p ALTER id TYPE bigint": "public.p d id:integer day:date of:integer x:integer key[0 1]\n" +
				"public.p d id:bigint day:date of:integer x:integer key[0 1] | column x",
			"ALTER TABLE p DROP CONSTRAINT p_of_fkey": p,
		} {
			all, err := Rehearse(t.Context(), cfg, sql)
			if err != nil {
				t.Errorf("%s: %v", sql, err)
				continue
			}
			wantChanges(t, sql, all, want)
		}
	})
}

func TestRehearseTypes(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TYPE mood AS ENUM ('sad', '100%'); CREATE DOMAIN feeling AS mood CHECK (value::text <> 'x%'); CREATE TYPE pair AS (m mood[], n int); CREATE TYPE unused AS ENUM ('a');
			CREATE TABLE a (id int PRIMARY KEY, m mood, f feeling, many feeling[], p pair, t text)`)
		const a = "public.a d id:integer m:public.mood f:public.mood many:public.mood[] p:public.pair t:text key[0]"
		for sql, want := range map[string]struct{ text, values string }{
			"ALTER TYPE mood ADD VALUE IF NOT EXISTS 'it''s' BEFORE 'sad'": {a + " | columns m, f, many, p", "[{m 1 true  it's} {f 1 true  it's} {many 1 false  it's} {p 1 false  it's}]"},
			"ALTER TYPE mood RENAME VALUE '100%' TO 'all'":                 {a + " | rows with '100%' have 'all'", "[{m 2 true 100% all} {f 2 true 100% all} {many 2 false 100% all} {p 2 false 100% all}]"},
			"ALTER TYPE pair ADD ATTRIBUTE o int":                          {a + " | number of attributes", "[{p 3 true  }]"},
			"ALTER TYPE pair RENAME ATTRIBUTE n TO o":                      {a + " | the values stay as they are", "[]"},
			"ALTER DOMAIN feeling SET DEFAULT 'sad'":                       {a + " | columns f, many", "[]"},
			"ALTER TYPE mood SET SCHEMA other": {
				strings.ReplaceAll(a, "public.mood", "other.mood") + " | records say the new name | the values stay as they are", "[]"},
			"ALTER TYPE mood ADD VALUE 'b'; ALTER TABLE a ALTER m TYPE mood":             {a + " | columns m, f, many, p\n" + a, "[{m 1 true  b} {f 1 true  b} {many 1 false  b} {p 1 false  b}]"},
			"ALTER TYPE unused ADD VALUE 'b'; ALTER TYPE unused RENAME VALUE 'b' TO 'c'": {"", ""},
		} {
			all, err := Rehearse(t.Context(), cfg, sql)
			if err != nil {
				t.Errorf("%s: %v", sql, err)
				continue
			}
			if want.text == "" {
				if len(all) != 2 || len(all[0].Tables) != 0 || !strings.Contains(all[0].Notes[0], "no captured table has a column of type") {
					t.Errorf("%s gives %+v", sql, all)
				}
				continue
			}
			wantChanges(t, sql, all, want.text)
			if got := fmt.Sprint(all[0].Tables[0].Values); got != want.values {
				t.Errorf("%s\n  changes the values %s\n  want              %s", sql, got, want.values)
			}
		}
		if _, err := Rehearse(t.Context(), cfg, "ALTER TYPE mood RENAME VALUE 'none' TO 'x'"); err == nil || !strings.Contains(err.Error(), "not an existing enum label") {
			t.Errorf("a label that is not there gives %v", err)
		}
	})
}

func TestRehearsePublication(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		cfg = cfg.WithDefaults()
		d.run(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE SCHEMA s; CREATE TABLE s.c (id int PRIMARY KEY);
			CREATE PUBLICATION other FOR TABLE a; CREATE PUBLICATION ` + cfg.Publication + ` FOR TABLE ONLY a, ONLY b WITH (publish_via_partition_root = true)`)
		if d.ask(`SHOW server_version`) >= "18" {
			d.run(`ALTER PUBLICATION ` + cfg.Publication + ` SET (publish_generated_columns = stored)`)
		}
		for sql, want := range map[string]string{
			"ALTER PUBLICATION other DROP TABLE a":                                    "leaves alone",
			"ALTER PUBLICATION " + cfg.Publication + " DROP TABLE a":                  "changes of public.a are in no record until capture puts the table back",
			"ALTER PUBLICATION " + cfg.Publication + " SET TABLE a":                   "changes of public.b are in no record",
			"ALTER PUBLICATION " + cfg.Publication + " ADD TABLE s.c":                 "changes of s.c are dropped",
			"ALTER PUBLICATION " + cfg.Publication + " RENAME TO x":                   "gone",
			"DROP PUBLICATION " + cfg.Publication:                                     "gone",
			"ALTER PUBLICATION " + cfg.Publication + " OWNER TO CURRENT_USER":         "has what capture needs",
			"ALTER PUBLICATION " + cfg.Publication + " SET (publish = 'insert')":      "hold back changes",
			"ALTER PUBLICATION " + cfg.Publication + " SET TABLE a WHERE (id > 0), b": "hold back changes",
		} {
			all, err := Rehearse(t.Context(), cfg, sql)
			if err != nil {
				t.Errorf("%s: %v", sql, err)
				continue
			}
			if said := strings.Join(append(all[0].Faults, all[0].Notes...), "; "); !strings.Contains(said, want) {
				t.Errorf("%s says %q, want %q", sql, said, want)
			}
		}
		if left := d.ask(`SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_publication_tables WHERE pubname = '` + cfg.Publication + `'`); left != "a b" {
			t.Errorf("the publication holds %s", left)
		}
	})
}

// A rehearsal takes no lock that an application's writes wait for, and waits no longer than the limit
// for one that the application holds.
func TestRehearseLocks(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		cfg = cfg.WithDefaults()
		d.run(`CREATE TYPE mood AS ENUM ('ok'); CREATE TYPE pair AS (x int, y int); CREATE DOMAIN cents AS int;
			CREATE TABLE a (id int PRIMARY KEY, n int, m mood, p pair, c cents); CREATE INDEX by_n ON a (n);
			CREATE TABLE p (id int PRIMARY KEY, of int REFERENCES a) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); CREATE TABLE q (id int PRIMARY KEY, of int);
			CREATE PUBLICATION ` + cfg.Publication + ` FOR TABLE a`)
		statements := []string{
			"ALTER TABLE a DROP COLUMN n", "ALTER TABLE a RENAME TO b", "ALTER TABLE a REPLICA IDENTITY FULL", "DROP TABLE a", "TRUNCATE a CASCADE", "DROP INDEX by_n", "CREATE INDEX ON a (m)",
			"CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)", "ALTER TABLE a ADD FOREIGN KEY (n) REFERENCES q", "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (19)",
			"ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (20) TO (29)", "ALTER TABLE p DETACH PARTITION p1", "ALTER TYPE mood ADD VALUE 'new'", "ALTER TYPE pair ADD ATTRIBUTE z int",
			"ALTER DOMAIN cents SET NOT NULL", "ALTER PUBLICATION " + cfg.Publication + " DROP TABLE a",
		}
		d.run(`BEGIN; INSERT INTO a VALUES (1, 1, 'ok', '(1,1)', 1); INSERT INTO p VALUES (1, 1); INSERT INTO q VALUES (20, 1)`)
		for _, sql := range statements {
			if _, err := Rehearse(t.Context(), cfg, sql); err != nil {
				t.Errorf("%s beside a writing transaction: %v", sql, err)
			}
		}
		d.run(`COMMIT; BEGIN; LOCK TABLE a`)
		if _, err := Rehearse(t.Context(), cfg, "ALTER TABLE a DROP COLUMN n"); err == nil || !strings.Contains(err.Error(), "locked") {
			t.Errorf("beside a session that has locked the table: %v", err)
		}
		d.run(`ROLLBACK`)
	})
}

func TestInspect(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE DOMAIN email AS text; CREATE TABLE a (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, e email DEFAULT 'x', big text GENERATED ALWAYS AS (upper(e)) STORED)`)
		s, err := Inspect(t.Context(), cfg, "public", "a")
		if err != nil {
			t.Fatal(err)
		}
		if got := shapeText(s); got != "public.a d id:bigint e:text key[0]" {
			t.Errorf("the shape is %s", got)
		}
		if c := s.Columns; len(c) != 3 || c[1].Type != "email" || !c[0].NotNull || c[0].Default == "" || !c[2].Generated {
			t.Errorf("the columns are %+v", c)
		}
		if _, err := Inspect(t.Context(), cfg, "public", "nobody"); err == nil || !strings.Contains(err.Error(), change.FormatName("public", "nobody")) {
			t.Errorf("a table that is not there gives %v", err)
		}
	})
}
