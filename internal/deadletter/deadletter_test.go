package deadletter

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

func stock() *change.Table {
	return &change.Table{OID: 9, Schema: "Odd Schema", Name: "stock", Identity: change.IdentityDefault, Key: []int{0, 2}, Columns: []change.Column{
		{Name: "region", Attnum: 1, Type: schemas.TypeOf(25, -1, "", nil)}, {Name: "body", Attnum: 2, Type: schemas.TypeOf(25, -1, "", nil)},
		{Name: "item", Attnum: 3, Type: schemas.TypeOf(23, -1, "", nil)}, {Name: "n", Attnum: 4, Type: schemas.TypeOf(23, -1, "", nil)},
	}}
}

func text(s string) change.Value { return change.Value{Format: change.Text, Data: []byte(s)} }

var (
	null    = change.Value{Format: change.Null}
	unsent  = change.Value{Format: change.Unchanged}
	nothing = change.Value{}
)

// A change comes back as it was, by the names of its columns.
func TestEntry(t *testing.T) {
	tb := stock()
	for _, c := range []change.Change{
		{Op: change.Create, After: change.Row{text("eu, <west>"), text(""), text("7"), null}},
		{Op: change.Update, BeforeKind: change.BeforeFull, Before: change.Row{text("e"), null, text("7"), text("1")}, After: change.Row{text("e"), unsent, text("7"), text("2")}, Early: true, Keep: 77},
		{Op: change.Delete, BeforeKind: change.BeforeKey, Before: change.Row{text("e"), nothing, text("7"), nothing}, OtherKey: change.Row{text("ü/="), nothing, text("7"), nothing}},
	} {
		c.Table, c.Commit, c.Ordinal, c.LSN, c.Time = tb, 0x16_0000_00ab, 3, 99, 1_700_000_000_123_456
		e := New(&c)
		e.Parked, e.Error, e.Of = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "it is too long", 12
		b, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := NewDecoder().Entry(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if !Same(got.Change.Table, tb) {
			t.Errorf("its table is %+v", got.Change.Table)
		}
		got.Change.Table = tb
		if !reflect.DeepEqual(got, e) {
			t.Errorf("%s\n is %+v\nwant %+v", b, got, e)
		}
		if e.ID() != "16/AB+3 Odd Schema.stock" {
			t.Errorf("its key is %s", e.ID())
		}
	}
	bad := New(&change.Change{Op: change.Create, Table: tb, After: change.Row{text("\xff"), null, text("1"), null}})
	if _, err := json.Marshal(&bad); err == nil || !strings.Contains(err.Error(), "column region") {
		t.Errorf("bytes that are no text: %v", err)
	}
}

func TestKeys(t *testing.T) {
	c := change.Change{Op: change.Create, Table: stock(), After: change.Row{text("eu, 'w'/%"), null, text("-7"), null}, OtherKey: change.Row{text("é"), nothing, text("8"), nothing}}
	e := New(&c)
	if e.Key != `"Odd Schema".stock/region=eu%2C%20%27w%27%2F%25,item=-7` || e.Linked != `"Odd Schema".stock/region=é,item=8` {
		t.Errorf("%s and %s", e.Key, e.Linked)
	}
	for key, want := range map[string][]string{e.Key: {"eu, 'w'/%", "-7"}, e.Linked: {"é", "8"}, "public.stock/region=a,item=1": nil, e.Key + ",n=1": nil,
		`"Odd Schema".stock/@0/7+1`: nil, `"Odd Schema".stock/region=%,item=1`: nil, `"Odd Schema".stock/item=1,region=a`: nil, "": nil} {
		if got := KeyValues(c.Table, key); !slices.Equal(got, want) {
			t.Errorf("%s is %q", key, got)
		}
	}
}

// Records that a topic holds are read whatever they are.
func FuzzContents(f *testing.F) {
	e := New(&change.Change{Op: change.Create, Table: stock(), After: change.Row{text("a"), null, text("1"), null}})
	good, _ := json.Marshal(&e)
	for _, key := range []string{e.ID(), "gone", "tried x", "table public.t", "?"} {
		f.Add(key, good)
		f.Add(key, []byte(`{"ids": ["a"]}`))
		f.Add(key, []byte("null"))
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		c := NewContents()
		if c.Take(key, value, 5) == nil {
			for _, s := range c.Sorted() {
				_ = Chosen([]*Stored{s}, nil, 6)
			}
		}
		if e, err := NewDecoder().Entry(value); err == nil && Keyed(&e.Change) {
			_ = New(&e.Change)
		}
	})
}

// A change is read in a later version of its table where its row is known there.
func TestIn(t *testing.T) {
	was := stock()
	c := change.Change{Op: change.Update, Table: was, Commit: 100, BeforeKind: change.BeforeKey,
		Before: change.Row{text("eu"), nothing, text("7"), nothing}, After: change.Row{text("eu"), unsent, text("7"), text("1")}}
	zero := "0"
	is := stock()
	is.Columns = []change.Column{is.Columns[2], is.Columns[0], is.Columns[3], {Name: "price", Attnum: 5, Missing: &zero}, {Name: "note", Attnum: 6}}
	is.Columns[2].Name, is.Columns[2].Type, is.Key = "count", schemas.TypeOf(20, -1, "", nil), []int{0, 1}
	got, err := In(&c, is)
	if err != nil {
		t.Fatal(err)
	}
	if want := (change.Row{text("7"), text("eu"), text("1"), text("0"), null}); !reflect.DeepEqual(got.After, want) || got.Table != is {
		t.Errorf("after is %v", got.After)
	}
	if want := (change.Row{text("7"), text("eu"), nothing, nothing, nothing}); !reflect.DeepEqual(got.Before, want) {
		t.Errorf("before is %v", got.Before)
	}
	is.Columns[3].Untold = 101
	if _, err := In(&c, is); err == nil || !strings.Contains(err.Error(), "column price") {
		t.Errorf("values that nobody knows: %v", err)
	}
	is.Columns[3].Untold = 99
	is.Columns[2].Type = schemas.TypeOf(1114, -1, "", nil)
	if _, err := In(&c, is); err == nil || !strings.Contains(err.Error(), "column count") {
		t.Errorf("another type: %v", err)
	}
	c.Op, c.After = change.Delete, nil
	if _, err := In(&c, is); err != nil {
		t.Errorf("a deletion needs the key only: %v", err)
	}
}
