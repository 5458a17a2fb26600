package avro

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// keyed is a table with a date as key and one more column of the type.
func keyed(t *testing.T, oid uint32) *Encoder {
	t.Helper()
	e, err := NewEncoder(Options{Topic: "s.public.days", Table: &change.Table{
		Schema: "public", Name: "days", Identity: change.IdentityDefault, Key: []int{0},
		Columns: []change.Column{{Name: "day", Type: schemas.TypeOf(1082, -1, "", nil)}, {Name: "v", Type: schemas.TypeOf(oid, -1, "", nil)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestValuesThatCannotBeWritten(t *testing.T) {
	text := func(s string) change.Value { return change.Value{Format: change.Text, Data: []byte(s)} }
	day := text("2026-01-02")
	for name, c := range map[string]struct {
		oid    uint32
		row    change.Row
		column string
		want   string
	}{
		"special in the key":   {23, change.Row{text("infinity"), text("1")}, "day", "key (day=infinity): the column is part of the key and holds a value that its Avro type cannot hold"},
		"null in the key":      {23, change.Row{{Format: change.Null}, text("1")}, "day", "is part of the key and is NULL"},
		"unchanged in the key": {23, change.Row{{Format: change.Unchanged}, text("1")}, "day", "did not travel in the log"},
		"absent in the key":    {23, change.Row{{}, text("1")}, "day", "the row does not hold it"},
		"absent":               {23, change.Row{day, {}}, "v", "key (day=2026-01-02): the row does not hold the column"},
		"not a number":         {23, change.Row{day, text("one")}, "v", "not a value of the column's type"},
		"binary of an opaque":  {3904, change.Row{day, {Format: change.Binary, Data: []byte{1}}}, "v", "only the text form of its type is known"},
		"binary of money":      {790, change.Row{day, {Format: change.Binary, Data: make([]byte, 8)}}, "v", "read the table in text format"},
		"short binary":         {23, change.Row{day, {Format: change.Binary, Data: []byte{1}}}, "v", "not a value of the column's type"},
	} {
		t.Run(name, func(t *testing.T) {
			dst := []byte("before")
			got, err := keyed(t, c.oid).Envelope(dst, testGroup(), &change.Change{Op: change.Create, After: c.row}, Order{}, 0)
			var v *ValueError
			if !errors.As(err, &v) || v.Column != c.column || v.Table != "public.days" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if string(got) != "before" {
				t.Errorf("left %q behind", got)
			}
		})
	}
}

func TestKeyThatCannotBeWritten(t *testing.T) {
	e := keyed(t, 23)
	got, err := e.Key(nil, change.Row{{Format: change.Text, Data: []byte("-infinity")}, {}})
	if !errors.Is(err, errKeySpecial) || len(got) != 0 {
		t.Error(got, err)
	}
}

func TestOldRowOfFullIdentityIsWhole(t *testing.T) {
	e, err := NewEncoder(Options{Topic: "s.public.t", Table: fuzzTable()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Envelope(nil, testGroup(), &change.Change{Op: change.Delete, Before: everyRow(), BeforeKind: change.BeforeKey}, Order{}, 0)
	if err == nil || !strings.Contains(err.Error(), "REPLICA IDENTITY is FULL") {
		t.Error(err)
	}
}

func TestRowOfAnotherTable(t *testing.T) {
	_, err := newOrdersEncoder(t).Envelope(nil, testGroup(), &change.Change{Op: change.Create, After: make(change.Row, 7)}, Order{}, 0)
	if err == nil || !strings.Contains(err.Error(), "7 values for 8 columns") {
		t.Error(err)
	}
}

// TestGroupsFollowEachOther reuses one Group, as capture may.
func TestGroupsFollowEachOther(t *testing.T) {
	e, g := newOrdersEncoder(t), testGroup()
	p, _ := schemas.ForTable("crm.public.orders", orders())
	d, err := NewDecoder(p.Key, p.Value)
	if err != nil {
		t.Fatal(err)
	}
	var rec Record
	var arena []byte
	for _, next := range []change.Group{
		{XID: 1, Commit: 100, Time: 5}, {XID: 2, Commit: 200, Time: 5}, {XID: 2, Commit: 200, Time: 6}, {Kind: change.Snapshot, Commit: 200, Time: 6},
	} {
		*g = next
		framed, err := e.Envelope(nil, g, &change.Change{Op: change.Read, After: ordersRow(true)}, Order{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Envelope(framed[frameLength:], &rec, &arena); err != nil {
			t.Fatal(err)
		}
		if rec.Group != GroupID(g) || rec.Time != g.Time || rec.Position.Commit != g.Commit || rec.Snapshot != (g.Kind == change.Snapshot) {
			t.Errorf("%+v was read as %+v", g, rec)
		}
	}
}
