package capture

import (
	"errors"
	"fmt"
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
			"ALTER TABLE public.a ADD COLUMN b boolean":                               {"public.a d id:integer n:integer s:character varying(20) price:numeric(12,2) b:boolean" + rest, ""},
			"ALTER TABLE a ADD b int DEFAULT 7, DROP COLUMN price":                    {"public.a d id:integer n:integer s:character varying(20) b:integer" + rest, "default 7"},
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
			got, err := Rehearse(t.Context(), cfg, sql)
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
		got, err := Rehearse(t.Context(), cfg, `ALTER TABLE "Odd ""S"."my.t" ADD "new one" text[], RENAME "Id no" TO id`)
		if err == nil {
			t.Errorf("two statements in one give %+v", got)
		}
		got, err = Rehearse(t.Context(), cfg, `ALTER TABLE IF EXISTS ONLY "Odd ""S"."my.t" ADD "new one" text[], ALTER at SET DEFAULT now()`)
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
		d.run(`CREATE TABLE a (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED); CREATE SCHEMA s; CREATE TABLE s.a (id int PRIMARY KEY); CREATE TABLE s.b (id int PRIMARY KEY)`)
		for sql, says := range map[string]string{
			"ALTER TABLE a DROP COLUMN x":                                `column "x" of relation "a" does not exist`,
			"ALTER TABLE a ALTER n TYPE bigint":                          "generated column",
			"ALTER TABLE a ADD":                                          "syntax error",
			"ALTER TABLE s.b ADD c int":                                  "table s.b is not captured",
			"ALTER TABLE nobody ADD c int":                               "no captured table is named nobody",
			"ALTER TABLE a ADD c int; COMMIT; DROP TABLE a":              "multiple commands",
			"ALTER TABLE a ADD FOREIGN KEY (n) REFERENCES public.a (id)": "foreign keys",
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

// A rehearsal takes no lock that an application's writes wait for, and waits no longer than the limit
// for one that the application holds.
func TestRehearseLocks(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY, n int)`)
		d.run(`BEGIN; INSERT INTO a VALUES (1, 1)`)
		if _, err := Rehearse(t.Context(), cfg, "ALTER TABLE a DROP COLUMN n"); err != nil {
			t.Errorf("beside a writing transaction: %v", err)
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
