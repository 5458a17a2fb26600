package avro

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// seed gives a golden record of testdata.
func seed(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err = hex.DecodeString(string(bytes.ReplaceAll(b, []byte("\n"), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fuzzTable has a column of each way to encode a value.
func fuzzTable() *change.Table {
	t := &change.Table{Schema: "public", Name: "t", Identity: change.IdentityFull, Key: []int{0}}
	for _, oid := range fuzzTypes() {
		mod := int32(-1)
		if oid == 1700 || oid == 1231 {
			mod = 40<<16 | 10 + 4
		}
		typ := schemas.TypeOf(oid, mod, "", nil)
		t.Columns = append(t.Columns, change.Column{Name: "c" + schemas.FieldName(typ.Name), Type: typ})
	}
	return t
}

func fuzzTypes() []uint32 {
	return []uint32{
		20, 16, 21, 23, 26, 700, 701, 1700, 25, 17, 1560, 2950, 3802, 1082, 1083, 1266, 1114, 1184, 1186, 869, 829, 3220,
		1000, 1007, 1009, 1231, 1115, 1185, 1182, 1020, 2951, 1001,
	}
}

// amplification bounds how much text a byte of Avro becomes: a quoted timestamp of one byte.
const amplification = 64

func FuzzEnvelope(f *testing.F) {
	p, err := schemas.ForTable("s.public.t", fuzzTable())
	if err != nil {
		f.Fatal(err)
	}
	d, err := NewDecoder(p.Key, p.Value)
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"every.update", "every.delete", "every.null"} {
		f.Add(seed(f, name)[frameLength:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var rec Record
		var arena []byte
		_ = d.Envelope(b, &rec, &arena)
		if len(arena) > amplification*(len(b)+1) {
			t.Errorf("%d bytes became %d", len(b), len(arena))
		}
		_, _ = d.Key(b, nil, &arena)
	})
}

func FuzzSchema(f *testing.F) {
	p, _ := schemas.ForTable("crm.public.orders", orders())
	f.Add(p.Key, p.Value, seed(f, "orders.create")[frameLength:])
	m := schemas.ForMessages("crm")
	f.Add(m.Key, m.Value, []byte{2, 'm'})
	f.Add("", `{"type":"record","name":"E","fields":[{"name":"after","type":["null",{"type":"record","name":"V","fields":[{"name":"next","type":"E"}]}]}]}`, []byte{2, 2, 2})
	f.Fuzz(func(_ *testing.T, key, value string, b []byte) {
		d, err := NewDecoder(key, value)
		if err != nil {
			return
		}
		var rec Record
		var arena []byte
		_ = d.Envelope(b, &rec, &arena)
		_, _ = d.Key(b, nil, &arena)
	})
}

func FuzzEnd(f *testing.F) {
	f.Add(AppendEnd(nil, &End{Status: "END", ID: "1:2", EventCount: 3, Collections: []Collection{{"public.t", 3, []PartitionCount{{1, 2}, {0, 1}}, 0, SchemaIDs{4, 5}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again End
		if DecodeEnd(b, &e) != nil {
			return
		}
		if err := DecodeEnd(AppendEnd(nil, &e), &again); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	})
}

// FuzzBinary takes any bytes for any type's binary form. What is accepted must come back as a text
// that is accepted too, with the same Avro form.
func FuzzBinary(f *testing.F) {
	table := fuzzTable()
	for i := range table.Columns {
		f.Add(uint8(i), []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9})
		f.Add(uint8(i), []byte{0, 2, 0, 0, 0, 0, 0, 2, 0x04, 0xD2, 0x15, 0xE0})
		f.Add(uint8(i), []byte("\x01{\"a\": 1, \"b\": 2}"))
	}
	f.Fuzz(func(t *testing.T, column uint8, b []byte) {
		c, err := newCodec(table.Columns[int(column)%len(table.Columns)].Type)
		if err != nil {
			t.Fatal(err)
		}
		form, err := c.binary(c, nil, b)
		if err != nil && !errors.Is(err, errSpecial) {
			return
		}
		text, err := c.textOfBinary(nil, b)
		if err != nil || len(form) == 0 {
			return
		}
		again, err := c.text(c, nil, text)
		if err == nil && !bytes.Equal(again, form) && c.typ.Kind != change.Array {
			t.Errorf("%s %x: form %x, by way of %q %x", c.typ.Name, b, form, text, again)
		}
	})
}

func FuzzText(f *testing.F) {
	table := fuzzTable()
	for i := range table.Columns {
		for _, s := range []string{"1", "-12.50", "{1,NULL,\"a\\\"b\"}", "2026-01-02 03:04:05.5+00 BC", `\x00`, "[0:1]={1,2}"} {
			f.Add(uint8(i), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, column uint8, b []byte) {
		c, err := newCodec(table.Columns[int(column)%len(table.Columns)].Type)
		if err != nil {
			t.Fatal(err)
		}
		form, err := c.text(c, nil, b)
		if err != nil {
			return
		}
		r := reader{b: form}
		text := c.print(c, nil, &r)
		if err := r.end(); err != nil && c.typ.Kind != change.Time && c.typ.Kind != change.Array {
			t.Fatalf("%s %q: form %x cannot be read: %v", c.typ.Name, b, form, err)
		}
		again, err := c.text(c, nil, text)
		if r.err == nil && (err != nil || !bytes.Equal(again, form)) && c.typ.Kind != change.Array {
			t.Errorf("%s %q: form %x, by way of %q %x (%v)", c.typ.Name, b, form, text, again, err)
		}
	})
}
