package capture

import (
	"errors"
	"strings"
	"testing"
)

func TestParseDDL(t *testing.T) {
	for sql, want := range map[string]ddl{
		`ALTER TABLE public.a ADD COLUMN b int`:                              {schema: "public", name: "a", actions: " ADD COLUMN b int"},
		`alter table if exists only "Odd ""S""" . "my.t" * drop x;`:          {schema: `Odd "S"`, name: "my.t", actions: " drop x;"},
		"-- why\n/* a /* nested */ one */ ALTER TABLE A RENAME b TO c":       {name: "a", actions: "RENAME b TO c"},
		`DROP TABLE IF EXISTS sales.orders CASCADE`:                          {drop: true, schema: "sales", name: "orders", actions: "CASCADE"},
		`ALTER TABLE größe SET SCHEMA "x"`:                                   {name: "größe", actions: `SET SCHEMA "x"`},
		`ALTER TABLE only_me ALTER b TYPE text USING b::text || ' ADD x''y'`: {name: "only_me", actions: `ALTER b TYPE text USING b::text || ' ADD x''y'`},
	} {
		got, err := parseDDL(sql)
		got.actions, want.actions = strings.TrimSpace(got.actions), strings.TrimSpace(want.actions)
		if err != nil || got != want {
			t.Errorf("%s\n  gives %+v, %v\n  want  %+v", sql, got, err, want)
		}
	}
}

func TestParseDDLRefuses(t *testing.T) {
	for sql, says := range map[string]string{
		"":                               "only ALTER TABLE",
		"TRUNCATE public.a":              `begins with "truncate"`,
		"CREATE INDEX ON a (b)":          `begins with "create"`,
		"ALTER TYPE mood ADD VALUE 'ok'": "labels of an enum travel as text",
		"ALTER VIEW v RENAME TO w":       `about a "view"`,
		"ALTER TABLE":                    "no table's name",
		"ALTER TABLE 'a' ADD b int":      "no table's name",
		`ALTER TABLE "a ADD b int`:       "no table's name",
		"ALTER TABLE a":                  "says nothing",
		"ALTER TABLE p ATTACH PARTITION q DEFAULT": "partitions",
		"DROP TABLE a, b":                          "want one table",
		"/* never closed":                          "only ALTER TABLE",
	} {
		_, err := parseDDL(sql)
		var unfit *StatementError
		if !errors.As(err, &unfit) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q gives %v, want it to say %q", sql, err, says)
		}
	}
}

func TestDDLUses(t *testing.T) {
	for actions, want := range map[string]bool{
		`ALTER a TYPE int USING a::int`:          true,
		`ADD COLUMN "using" int`:                 false,
		`ADD b text DEFAULT 'using' -- using it`: false,
	} {
		if d := (ddl{actions: actions}); d.uses("using") != want {
			t.Errorf("%s: USING is found: %v, want %v", actions, !want, want)
		}
	}
}

func FuzzParseDDL(f *testing.F) {
	f.Add(`ALTER TABLE "a""b".c ADD /* x */ d int -- y`)
	f.Add(`DROP TABLE IF EXISTS a."`)
	f.Fuzz(func(_ *testing.T, sql string) {
		d, err := parseDDL(sql)
		if err == nil {
			d.uses("using")
			d.newSchema()
		}
	})
}
