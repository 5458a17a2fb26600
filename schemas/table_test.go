package schemas

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

// withoutOIDs drops what a schema does not hold.
func withoutOIDs(t change.Type) change.Type {
	if _, _, known := builtinByOID(t.OID); !known {
		t.OID = 0
	}
	if t.Elem != nil {
		e := withoutOIDs(*t.Elem)
		t.Elem = &e
	}
	return t
}

func TestParseTableUndoesForTable(t *testing.T) {
	missing := ""
	for _, want := range tables() {
		want.OID = 1<<32 - 1
		want.Columns[0].Attnum, want.Columns[len(want.Columns)-1].Missing = 1600, &missing
		p, err := ForTable(Topic("crm", want.Schema, want.Name), want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseTable(p)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want.Columns {
			want.Columns[i].Type = withoutOIDs(want.Columns[i].Type)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("table %s came back as\n%+v, was\n%+v", want.Name, got, want)
		}
		if got, err = ParseTable(Pair{Value: p.Value}); err != nil || !slices.Equal(got.Key, slices.Sorted(slices.Values(want.Key))) {
			t.Errorf("without its key's schema the table %s has the key %v, not %v: %v", want.Name, got.Key, want.Key, err)
		}
	}
}

func TestParseTableOfOtherWriters(t *testing.T) {
	got, err := ParseTable(Pair{Value: `{"type":"record","name":"Envelope","namespace":"x","fields":[
		{"name":"op","type":"string"},
		{"name":"after","type":[{"type":"record","name":"Value","fields":[
			{"name":"id","type":"long"},{"name":"day","type":["null",{"type":"int","logicalType":"date"}]},
			{"name":"tags","type":{"type":"array","items":["null","string"]}}]},"null"]}]}`})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range got.Columns {
		names = append(names, c.Name+" "+c.Type.Name)
	}
	if s := strings.Join(names, ", "); s != "id bigint, day date, tags text[]" {
		t.Errorf("columns: %s", s)
	}
}

func TestParseTableRefuses(t *testing.T) {
	for schema, want := range map[string]string{
		`{`:       "cannot read the Avro schema",
		`"long"`:  "no field before or after",
		`"crm.X"`: "not known",
		`{"type":"record","name":"X","fields":[{"name":"f","type":7}]}`: "is no schema",
		`{"type":"record","name":"X"}`:                                  "without fields",
		`{"type":"fixed","name":"X","size":-1}`:                         "a fixed of -1 bytes",
		`{"type":"array"}`:                                              "is no schema",
	} {
		if _, err := ParseTable(Pair{Value: schema}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", schema, err, want)
		}
	}
}

func TestColumnsThatCollide(t *testing.T) {
	table := orders()
	table.Columns[1].Name, table.Columns[2].Name = "a b", "a-b"
	_, err := ForTable("t", table)
	if err == nil || !strings.Contains(err.Error(), `columns "a b" and "a-b" of table "public"."orders"`) {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	for column, want := range map[string]string{"id": "id", "1st": "_1st", "a b-c.d": "a_b_c_d", "größe": "gr__e", "": "_"} {
		if got := FieldName(column); got != want {
			t.Errorf("FieldName(%q) = %q, want %q", column, got, want)
		}
	}
	if got := Topic("crm", "Odd Schema", "größe/1-a.b"); got != "crm.Odd_Schema.gr__e_1-a.b" {
		t.Error(got)
	}
	if got := Namespace("crm.1a.b-c"); got != "crm._1a.b_c" {
		t.Error(got)
	}
}

func TestCheckTopics(t *testing.T) {
	table := func(schema, name string) *change.Table { return &change.Table{Schema: schema, Name: name} }
	if err := CheckTopics("crm", []*change.Table{table("public", "a"), table("public", "b"), table("public", "a")}); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		tables []*change.Table
		want   string
	}{
		{[]*change.Table{table("public", "a b"), table("public", "a/b")}, `table "public"."a b" and table "public"."a/b" would share the topic`},
		{[]*change.Table{table("public.a", "b"), table("public", "a_b")}, `share the topic`},
		{[]*change.Table{table("public", "a-b"), table("public", "a_b")}, `share the Avro namespace`},
		{[]*change.Table{table("sluice", "state")}, `sluice's own topic crm.sluice.state`},
		{[]*change.Table{table("public", strings.Repeat("x", 250))}, `Kafka allows 249`},
	} {
		if err := CheckTopics("crm", c.tables); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
