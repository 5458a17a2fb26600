package change

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseName(t *testing.T) {
	for in, want := range map[string][2]string{
		`public.customers`:        {"public", "customers"},
		`Public.CUSTOMERS`:        {"public", "customers"},
		`"Odd Schema"."my.table"`: {"Odd Schema", "my.table"},
		`"a""b".c$1`:              {`a"b`, "c$1"},
		`größe.Ä`:                 {"größe", "Ä"},
		`_x."*"`:                  {"_x", "*"},
	} {
		schema, name, err := ParseName(in)
		if err != nil || schema != want[0] || name != want[1] {
			t.Errorf("ParseName(%s) = %q, %q, %v, want %q", in, schema, name, err, want)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	for in, want := range map[string]string{
		``:                                  "a part starts with",
		`customers`:                         "write it as public.customers",
		`a.b.c`:                             `unexpected ".c" after schema.table`,
		`a b.c`:                             `unexpected " " after the schema`,
		`public.`:                           "a part starts with",
		`public.1x`:                         "a part starts with",
		`public."x`:                         "not closed",
		`public.""`:                         "not empty",
		`sales.*`:                           "a part starts with",
		"public.\xff":                       "a part starts with",
		`public.` + strings.Repeat("x", 64): "PostgreSQL keeps 63",
	} {
		if _, _, err := ParseName(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseName(%s): %v, want %q in it", in, err, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	cases := []struct {
		pattern, schema, name string
		want                  bool
	}{
		{"sales.*", "sales", "orders", true},
		{"sales.*", "sales2", "orders", false},
		{"*.*", "a", "b", true},
		{"public.a*b*c", "public", "abbc", true},
		{"public.a*b*c", "public", "ac", false},
		{"public.ab*ba", "public", "aba", false},
		{`public."*"`, "public", "x", false},
		{`public."*"`, "public", "*", true},
		{"public.x", "public", "x", true},
	}
	for _, c := range cases {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(c.schema, c.name); got != c.want {
			t.Errorf("%s on %s.%s: %v", c.pattern, c.schema, c.name, got)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{`a.b`, `"A""".b`, `x.*`, "\xff.a", `é."."`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		schema, name, err := ParseName(s)
		if err != nil {
			return
		}
		if !utf8.ValidString(schema + name) {
			t.Fatalf("%q gave bytes that are not UTF-8: %q %q", s, schema, name)
		}
		again, againName, err := ParseName(FormatName(schema, name))
		if err != nil || again != schema || againName != name {
			t.Fatalf("%q: %q.%q came back as %q.%q, %v", s, schema, name, again, againName, err)
		}
		p, err := ParsePattern(FormatName(schema, name))
		if err != nil || !p.Match(schema, name) {
			t.Fatalf("pattern of %q.%q: %v", schema, name, err)
		}
	})
}
