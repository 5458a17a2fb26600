package sinktest

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

// version makes a version of items: columns by number.
func version(columns ...change.Column) *change.Table {
	t := *items
	t.Columns = columns
	return &t
}

// Between rows of a batch the table gets a column with a value for older rows, a wider type, another name
// for a column, and loses one; a sink that is opened anew knows what its columns were. Columns that the
// source has no more may stay.
func testSchemaChanges(t *testing.T, b *bench) {
	b.needs(Columns)
	id, name, missing := change.Column{Name: "id", Type: intType, Attnum: 1}, change.Column{Name: "name", Type: textType, Attnum: 2}, "new"
	added := change.Column{Name: "more", Type: textType, Attnum: 3, Missing: &missing}
	renamed := change.Column{Name: "title", Type: textType, Attnum: 2}
	wide := change.Column{Name: "id", Type: change.Type{OID: 20, Mod: -1, Name: "bigint", Kind: change.Int8}, Attnum: 1}
	v1, v2, v3, v4 := version(id, name), version(id, name, added), version(wide, renamed, added), version(wide, renamed)
	b.open(hard("public.items"))
	b.apply(create(v1, "1", "one"), create(v1, "2", "two"), create(v2, "3", "three", null), update(v2, "1", "uno", unchanged))
	b.wantColumns("public.items", []string{"id", "name", "more"}, "1 uno new", "2 two new", "3 three NULL")
	if err := b.sink.Close(); err != nil {
		t.Fatal(err)
	}
	b.open(hard("public.items"))
	b.apply(update(v2, "2", "dos", "x"), update(v3, "3", "tres", "y"), create(v3, "5000000000", "many", "z"), create(v4, "4", "four"))
	b.wantColumns("public.items", []string{"id", "title"}, "1 uno", "2 dos", "3 tres", "4 four", "5000000000 many")
	b.apply(remove(v4, "1", ""), update(v4, "2", unchanged))
	b.wantColumns("public.items", []string{"id", "title"}, "2 dos", "3 tres", "4 four", "5000000000 many")
}

// wantColumns compares some columns of a table.
func (b *bench) wantColumns(table string, columns []string, want ...string) {
	b.t.Helper()
	schema, name, _ := strings.Cut(table, ".")
	var have []string
	for _, r := range b.to.Rows(b.t, schema, name) {
		var values []string
		for _, c := range columns {
			v, ok := r[c]
			switch {
			case !ok:
				b.t.Errorf("%s has no column %s", table, c)
			case v == nil:
				values = append(values, "NULL")
			default:
				values = append(values, *v)
			}
		}
		have = append(have, strings.Join(values, " "))
	}
	slices.Sort(have)
	if !slices.Equal(have, want) {
		b.t.Errorf("%s holds %q, want %q", table, have, want)
	}
}
