package avro

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// orders is the table of the benchmarks: 8 columns.
func orders() *change.Table {
	column := func(name string, oid uint32, mod int32) change.Column {
		return change.Column{Name: name, Type: schemas.TypeOf(oid, mod, "", nil)}
	}
	return &change.Table{
		OID: 16384, Schema: "public", Name: "orders", Identity: change.IdentityDefault, Key: []int{0},
		Columns: []change.Column{
			column("id", 20, -1),
			column("customer_id", 20, -1),
			column("status", 25, -1),
			column("amount", 1700, 12<<16|2+4),
			column("note", 25, -1),
			column("active", 16, -1),
			column("created_at", 1184, -1),
			column("updated_at", 1184, -1),
		},
	}
}

func int64Bytes(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

func ordersRow(binaryForm bool) change.Row {
	if !binaryForm {
		return textRow("123456", "42", "new", "1234.56", "first note of the order", "t", "2026-01-02 03:04:05.678901+00", "")
	}
	created, _ := timestampFromText(nil, nil, []byte("2026-01-02 03:04:05.678901+00"))
	r := reader{b: created}
	row := change.Row{}
	for _, b := range [][]byte{
		int64Bytes(123456), int64Bytes(42), []byte("new"), {0, 2, 0, 0, 0, 0, 0, 2, 0x04, 0xD2, 0x15, 0xE0},
		[]byte("first note of the order"), {1}, int64Bytes(r.long() - epochMicros),
	} {
		row = append(row, change.Value{Format: change.Binary, Data: b})
	}
	return append(row, change.Value{Format: change.Null})
}

// textRow makes a row of texts; an empty one is NULL.
func textRow(values ...string) change.Row {
	row := make(change.Row, len(values))
	for i, v := range values {
		row[i] = change.Value{Format: change.Text, Data: []byte(v)}
		if v == "" {
			row[i] = change.Value{Format: change.Null}
		}
	}
	return row
}

func testGroup() *change.Group {
	return &change.Group{XID: 524948, Commit: 0x16_B374D848, Time: 1795389844392104}
}

func newOrdersEncoder(t testing.TB) *Encoder {
	t.Helper()
	e, err := NewEncoder(Options{Source: "crm", Database: "crm", Version: "0.1.0", Topic: "crm.public.orders", Table: orders(), KeyID: 1, ValueID: 2})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func BenchmarkEnvelope(b *testing.B) {
	for name, binaryForm := range map[string]bool{"binary": true, "text": false} {
		b.Run(name, func(b *testing.B) {
			e, g := newOrdersEncoder(b), testGroup()
			c := &change.Change{Op: change.Create, LSN: 0x16_B374D000, After: ordersRow(binaryForm)}
			var dst []byte
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.Ordinal, c.LSN = int64(i), c.LSN+128
				var err error
				if dst, err = e.Envelope(dst[:0], g, c, Order{int64(i), int64(i)}, change.Micros(1795389854276460)); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(dst)))
		})
	}
}

func BenchmarkKey(b *testing.B) {
	e, row := newOrdersEncoder(b), ordersRow(true)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = e.Key(dst[:0], row)
	}
}

func BenchmarkDecode(b *testing.B) {
	e := newOrdersEncoder(b)
	c := &change.Change{Op: change.Create, Ordinal: 7, After: ordersRow(true)}
	framed, err := e.Envelope(nil, testGroup(), c, Order{7, 7}, 1795389854276460)
	if err != nil {
		b.Fatal(err)
	}
	p, _ := schemas.ForTable("crm.public.orders", orders())
	d, err := NewDecoder(p.Key, p.Value)
	if err != nil {
		b.Fatal(err)
	}
	var rec Record
	var arena []byte
	b.ReportAllocs()
	for b.Loop() {
		arena = arena[:0]
		if err := d.Envelope(framed[frameLength:], &rec, &arena); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOrdersRoundTrip(t *testing.T) {
	e, g := newOrdersEncoder(t), testGroup()
	p, err := schemas.ForTable("crm.public.orders", orders())
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(p.Key, p.Value)
	if err != nil {
		t.Fatal(err)
	}
	want := ordersRow(false)
	for _, form := range []bool{true, false} {
		c := &change.Change{Op: change.Create, Ordinal: 3, LSN: 0x16_B374D000, After: ordersRow(form)}
		framed, err := e.Envelope(nil, g, c, Order{3, 2}, 1795389854276460)
		if err != nil {
			t.Fatal(err)
		}
		var rec Record
		var arena []byte
		if err := d.Envelope(framed[frameLength:], &rec, &arena); err != nil {
			t.Fatal(err)
		}
		for i, v := range rec.Change.After {
			if v.Format != want[i].Format || string(v.Data) != string(want[i].Data) {
				t.Errorf("column %d: %q, want %q", i, v.Data, want[i].Data)
			}
		}
		if rec.Position != (change.Position{Commit: g.Commit, Ordinal: 3}) || rec.Time != g.Time || rec.Group != GroupID(g) || rec.Change.LSN != c.LSN {
			t.Errorf("record says %+v", rec)
		}
	}
}

func TestEncodersDoNotAllocate(t *testing.T) {
	e, g := newOrdersEncoder(t), testGroup()
	dst := make([]byte, 0, 4096)
	for _, form := range []bool{true, false} {
		c := &change.Change{Op: change.Create, Ordinal: rand.Int64(), After: ordersRow(form)}
		if n := testing.AllocsPerRun(100, func() { dst, _ = e.Envelope(dst[:0], g, c, Order{1, 1}, 5) }); n != 0 {
			t.Errorf("%v allocations a row (binary %v)", n, form)
		}
	}
}
