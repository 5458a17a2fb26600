package sink

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// written is a Config as a configuration's reader has it.
type written struct {
	Config  `yaml:",inline"`
	Entries []Table `yaml:"tables"`
}

func parseConfig(t *testing.T, text string) (Config, error) {
	t.Helper()
	var c written
	err := yaml.UnmarshalWithOptions([]byte(text), &c, yaml.Strict())
	c.Tables = c.Entries
	if err == nil {
		err = c.Validate()
	}
	return c.Config, err
}

const goodConfig = `
type: postgres
tables:
  - from: public.customers
    to: crm."Kunden"
    columns: {id: id, name: full_name}
    deletes: {soft: {active: false, since: now, note: null, price: 1.10}}
    truncate: apply
  - {from: public.orders, deletes: hard}
  - {from: public.log, deletes: ignore}
  - {from: public.log, to: old.log, where: level > 3, columns: {n: "n + 1", ok: true, x: 1.10, z: null}, deletes: {archive: old.gone}}
`

func TestConfigComesBackAsWritten(t *testing.T) {
	c, err := parseConfig(t, goodConfig)
	if err != nil {
		t.Fatal(err)
	}
	soft := c.Tables[0].Deletes
	var got []string
	for _, a := range soft.Set {
		if a.Value == nil {
			got = append(got, a.Column+" is null")
			continue
		}
		got = append(got, a.Column+"="+*a.Value)
	}
	if want := "active=false since=now note is null price=1.10"; strings.Join(got, " ") != want {
		t.Errorf("soft delete sets %q, want %q", got, want)
	}
	out, err := yaml.Marshal(written{c, c.Tables})
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseConfig(t, string(out))
	if err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if again.Tables[0].Columns[1].From.Column() != "full_name" || len(again.Tables[0].Deletes.Set) != 4 || again.Tables[2].Deletes.Policy != DeleteIgnore {
		t.Errorf("came back as %+v from\n%s", again, out)
	}
}

func TestConfigDefaults(t *testing.T) {
	c, err := parseConfig(t, goodConfig)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDefaults()
	if c.Mode != ModeTransactions || !c.CreateTables() || c.Tables[1].To != "public.orders" || c.Tables[1].Truncate != TruncateRefuse {
		t.Errorf("defaults: %+v", c)
	}
}

func TestConfigRefuses(t *testing.T) {
	table := func(s string) string { return "type: postgres\ntables: [{from: public.a, " + s + "}]" }
	cases := []struct{ text, want string }{
		{"tables: [{from: public.a, deletes: hard}]", "type: missing"},
		{"type: postgres", "tables: missing"},
		{"type: postgres\nmode: keys\ntables: [{from: public.a, deletes: hard}]", `mode: "keys" is not built`},
		{"type: postgres\ntables: [{deletes: hard}]", "tables[0].from: missing"},
		{"type: postgres\ntables: [{from: customers, deletes: hard}]", "write it as public.customers"},
		{table("to: a.b.c, deletes: hard"), "tables[0].to:"},
		{"type: postgres\ntables: [{from: public.a}]", "tables[0].deletes: missing: what a DELETE at the source does here has no default: write hard"},
		{table("deletes: gone"), `not "gone"`},
		{table("deletes: soft"), "soft needs the columns"},
		{table("deletes: archive"), "archive needs the table"},
		{table("deletes: {archive: PUBLIC.a}"), "is the destination of a table"},
		{table("deletes: {archive: history}"), "tables[0].deletes.archive:"},
		{table("deletes: {soft: {}}"), "deletes.soft: missing"},
		{table("deletes: {hard: 1}"), "deletes is hard"},
		{table("deletes: {soft: {a: [1]}}"), "writes constants"},
		{table("deletes: {soft: active}"), "soft needs the columns"},
		{table("deletes: 7"), "deletes is hard"},
		{table("columns: {id: id, x: y}, deletes: {soft: {x: 1}}"), "written by columns.x"},
		{table("columns: {x: lower(y)}, deletes: hard"), "undeclared reference to 'lower'"},
		{table("deletes: hard, truncate: yes please"), "neither refuse"},
		{"type: postgres\ntables: [{from: public.a, deletes: hard}, {from: PUBLIC.\"a\", to: public.a, deletes: hard}]", "tables[1].to"},
		{"type: postgres\ntables: [{from: public.a, deletes: hard}, {from: b.b, to: public.a, deletes: hard}]", "tables[1].to"},
		{table("deletes: hard, colums: {a: b}"), "unknown field"},
	}
	for _, c := range cases {
		_, err := parseConfig(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n gave %v, want %q", c.text, err, c.want)
		}
	}
}
