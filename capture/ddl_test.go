package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseDDL(t *testing.T) {
	for sql, want := range map[string]string{
		`ALTER TABLE public.a ADD COLUMN b int`:                              `alter table [public.a] ADD COLUMN b int`,
		`alter table if exists only "Odd ""S""" . "my.t" * drop x`:           `alter table ["Odd ""S"""."my.t"] drop x`,
		"-- why\n/* a /* nested */ one */ ALTER TABLE A RENAME b TO c":       `alter table [a] RENAME b TO c`,
		`DROP TABLE IF EXISTS sales.orders, b CASCADE`:                       `drop table [sales.orders b] CASCADE`,
		`ALTER TABLE größe SET SCHEMA "x"`:                                   `alter table [größe] SET SCHEMA "x"`,
		`ALTER TABLE only_me ALTER b TYPE text USING b::text || ' ADD x''y'`: `alter table [only_me] ALTER b TYPE text USING b::text || ' ADD x''y'`,
		`TRUNCATE ONLY a, b.c * RESTART IDENTITY`:                            `truncate [a b.c] RESTART IDENTITY`,
		`CREATE UNIQUE INDEX CONCURRENTLY "I" ON ONLY a USING btree (b)`:     `create index [a] USING btree (b)`,
		`CREATE INDEX ON a (b)`:                                              `create index [a] (b)`,
		`CREATE UNLOGGED TABLE IF NOT EXISTS a (b int)`:                      `create table [a] (b int)`,
		`ALTER TYPE mood ADD VALUE 'ok'`:                                     `alter type [mood] ADD VALUE 'ok'`,
		`ALTER PUBLICATION p DROP TABLE a`:                                   `alter publication [p] DROP TABLE a`,
		`SET LOCAL lock_timeout = '2s'`:                                      ` []`,
		`COMMENT ON TABLE a IS 'x'`:                                          ` []`,
	} {
		d, err := parseDDL(sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if got := strings.TrimSpace(fmt.Sprintf("%s %v %s", d.kind, d.names, d.tail)); got != strings.TrimSpace(want) {
			t.Errorf("%s\n  gives %s\n  want  %s", sql, got, want)
		}
	}
}

func TestParseDDLRefuses(t *testing.T) {
	for sql, says := range map[string]string{
		"":                          "there is none; check-ddl knows",
		";;":                        "there is none",
		"GRANT SELECT ON a TO b":    `"GRANT SELECT" is not known to check-ddl: check-ddl knows ALTER`,
		"ALTER VIEW v RENAME TO w":  `"ALTER VIEW" is not known`,
		"ALTER TABLE":               "no name",
		"ALTER TABLE 'a' ADD b int": "no name",
		`ALTER TABLE "a ADD b int`:  "no name",
		"ALTER TABLE a":             "says nothing",
		"CREATE INDEX b a":          "no ON",
		"/* never closed":           "there is none",
		"DROP TABLE a; ROLLBACK":    `"ROLLBACK" is not known`,
		"SET search_path = x":       `"SET SEARCH_PATH" is not known`,
		"CREATE TABLE a":            "says nothing",
		"DROP TABLE a,":             "no name",
	} {
		_, err := parseAll(sql)
		var unfit *StatementError
		if !errors.As(err, &unfit) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q gives %v, want it to say %q", sql, err, says)
		}
	}
}

func TestSplit(t *testing.T) {
	for sql, want := range map[string][]string{
		"a; b ;; c":                           {"a", "b", "c"},
		"a 'x;y' \"p;q\" /* ; */ b -- ;\n; c": {"a 'x;y' \"p;q\" /* ; */ b -- ;", "c"},
		"a $$;$$; b $t$ ; $$ ; $t$; c $1 ;":   {"a $$;$$", "b $t$ ; $$ ; $t$", "c $1"},
		`a E'\';' ; b 'it''s;'`:               {`a E'\';'`, `b 'it''s;'`},
	} {
		if got := split(sql); !slices.Equal(got, want) {
			t.Errorf("%s\n  gives %q\n  want  %q", sql, got, want)
		}
	}
}

func TestActions(t *testing.T) {
	d := &ddl{tail: `ADD a numeric(3,2) DEFAULT 1, OWNER TO x, ALTER "B c" SET DATA TYPE text USING f("B c", 'using'), ALTER d TYPE bigint USING d::bigint`}
	want := []string{`ADD a numeric(3,2) DEFAULT 1`, `ALTER "B c" SET DATA TYPE text USING f("B c", 'using')`, `ALTER d TYPE bigint USING d::bigint`}
	if got := d.shown(); !slices.Equal(got, want) {
		t.Errorf("the actions are %q, want %q", got, want)
	}
	if got := d.computed(); len(got) != 1 || !got["B c"] {
		t.Errorf("computed are %v, want B c", got)
	}
}

func TestWithoutReferences(t *testing.T) {
	for sql, want := range map[string]string{
		`(a int REFERENCES b, c int)`: `(a int CHECK (true) , c int)`,
		`ADD CONSTRAINT x FOREIGN KEY (a, b) REFERENCES "B" . c (d, e) MATCH FULL ON DELETE SET NULL (a) ON UPDATE NO ACTION NOT DEFERRABLE NOT VALID, ADD f int`: `ADD CONSTRAINT x CHECK (true)  NOT VALID, ADD f int`,
		`(a int DEFAULT 'references' NOT NULL REFERENCES b (c) INITIALLY DEFERRED NOT NULL)`:                                                                      `(a int DEFAULT 'references' NOT NULL CHECK (true)  NOT NULL)`,
	} {
		if got := withoutReferences(sql); got != want {
			t.Errorf("%s\n  gives %s\n  want  %s", sql, got, want)
		}
	}
}

func FuzzParseDDL(f *testing.F) {
	f.Add(`ALTER TABLE "a""b".c ADD /* x */ d int -- y`)
	f.Add(`DROP TABLE IF EXISTS a."`)
	f.Add(`TRUNCATE a; ALTER TYPE t RENAME VALUE 'a' TO 'b'; CREATE TABLE x (y int REFERENCES z ON DELETE SET NULL (y)) AS $t$ $`)
	f.Fuzz(func(t *testing.T, sql string) {
		all, err := parseAll(sql)
		if err != nil {
			return
		}
		for _, d := range all {
			if !strings.Contains(sql, d.tail) {
				t.Errorf("%q is no part of %q", d.tail, sql)
			}
			d.computed()
			d.newSchema()
			d.values("e")
			withoutReferences(d.tail)
			withoutRows(d)
		}
	})
}
