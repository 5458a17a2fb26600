package avro

import (
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// foreign is an envelope as a later version, or another program, may register it: other order,
// fields that we do not know, unions the other way round.
const foreign = `{"type":"record","name":"Envelope","namespace":"x","fields":[
	{"name":"ts_ms","type":["long","null"]},
	{"name":"more","type":{"type":"record","name":"More","fields":[
		{"name":"list","type":{"type":"array","items":{"type":"map","values":"double"}}},
		{"name":"hash","type":{"type":"fixed","name":"Hash","size":4}},
		{"name":"suit","type":{"type":"enum","name":"Suit","symbols":["A","B"]}},
		{"name":"deeper","type":["null","More"]}]}},
	{"name":"op","type":"string"},
	{"name":"special","type":["null",{"type":"map","values":"string"}]},
	{"name":"after","type":[{"type":"record","name":"Value","fields":[
		{"name":"day","type":[{"type":"int","logicalType":"date"},"null"],"sluice.type":"date"},
		{"name":"id","type":"long","sluice.type":"bigint"},
		{"name":"note","type":["null","string"],"sluice.type":"text"}]},"null"]},
	{"name":"source","type":{"type":"record","name":"S","fields":[
		{"name":"ordinal","type":"long"},{"name":"extra","type":"float"},{"name":"commit_lsn","type":["null","long"]}]}}]}`

func TestDecoderFollowsTheSchema(t *testing.T) {
	oracle, err := goavro.NewCodec(withoutLogical(foreign))
	if err != nil {
		t.Fatal(err)
	}
	more := map[string]any{"list": []any{map[string]any{"a": 1.5}}, "hash": []byte("1234"), "suit": "B", "deeper": nil}
	nested := map[string]any{"list": []any{}, "hash": []byte("1234"), "suit": "A", "deeper": map[string]any{"x.More": more}}
	body, err := oracle.BinaryFromNative(nil, map[string]any{
		"ts_ms": map[string]any{"long": 5}, "more": nested, "op": "c",
		"special": map[string]any{"map": map[string]any{"day": "infinity"}},
		"after":   map[string]any{"x.Value": map[string]any{"day": nil, "id": 7, "note": map[string]any{"string": "n"}}},
		"source":  map[string]any{"ordinal": 9, "extra": 1.5, "commit_lsn": map[string]any{"long": 8}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder("", foreign)
	if err != nil {
		t.Fatal(err)
	}
	var rec Record
	var arena []byte
	if err := d.Envelope(body, &rec, &arena); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, v := range rec.Change.After {
		texts = append(texts, string(v.Data))
	}
	if strings.Join(texts, " ") != "infinity 7 n" || rec.Position != (change.Position{Commit: 8, Ordinal: 9}) || rec.Change.Op != change.Create {
		t.Errorf("read %q, %+v", texts, rec)
	}
}

func TestRecordsThatAreCut(t *testing.T) {
	p, err := schemas.ForTable("crm.public.orders", orders())
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(p.Key, p.Value)
	if err != nil {
		t.Fatal(err)
	}
	body := seed(t, "orders.create")[frameLength:]
	var rec Record
	var arena []byte
	for i := range body {
		if err := d.Envelope(body[:i], &rec, &arena); err == nil || !strings.Contains(err.Error(), "of table public.orders: the Avro record ends early") {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if err := d.Envelope(append(body, 0), &rec, &arena); err == nil || !strings.Contains(err.Error(), "goes on after its last field") {
		t.Error(err)
	}
}

func TestSchemasThatCannotBeRead(t *testing.T) {
	envelope := func(fields string) string {
		return `{"type":"record","name":"E","fields":[{"name":"after","type":{"type":"record","name":"V","fields":[` + fields + `]}},{"name":"op","type":"string"}]}`
	}
	for value, want := range map[string]string{
		`{}`: "is no schema",
		envelope(`{"name":"a","type":["int","string"]}`):                                                       "column a: a union that is not null and one type",
		envelope(`{"name":"a","type":{"type":"map","values":"int"}}`):                                          "Avro type map is not one that a column is written as",
		envelope(`{"name":"a","type":{"type":"array","items":"int"}}`):                                         "items are not nullable",
		strings.Replace(envelope(`{"name":"a","type":"int"}`), `"op","type":"string"`, `"op","type":"int"`, 1): "field op: its type is int",
	} {
		if _, err := NewDecoder("", value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
}

func TestFrame(t *testing.T) {
	id, body, err := SplitFrame(append(AppendFrame(nil, 0x01020304), 'x'))
	if id != 0x01020304 || string(body) != "x" || err != nil {
		t.Error(id, body, err)
	}
	for _, b := range []string{"", "\x00\x00\x00\x00", "\x01\x00\x00\x00\x00x"} {
		if _, _, err := SplitFrame([]byte(b)); err == nil {
			t.Errorf("%q was taken", b)
		}
	}
}
