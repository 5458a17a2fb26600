package tail

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/linkedin/goavro/v2"

	"github.com/sluicecdc/sluice/internal/kafka"
)

// everything is a record of all that appendPlain tells apart.
const everything = `{"type": "record", "name": "Value", "namespace": "a.b", "fields": [
	{"name": "z", "type": ["null", "long"], "default": null},
	{"name": "none", "type": ["null", "string"], "default": null},
	{"name": "amount", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]},
	{"name": "day", "type": {"type": "int", "logicalType": "date"}},
	{"name": "clock", "type": {"type": "long", "logicalType": "time-micros"}},
	{"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
	{"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
	{"name": "raw", "type": "bytes"},
	{"name": "x", "type": "double"},
	{"name": "nan", "type": "double"},
	{"name": "inf", "type": "float"},
	{"name": "on", "type": "boolean"},
	{"name": "list", "type": {"type": "array", "items": ["null", "int"]}},
	{"name": "map", "type": {"type": "map", "values": "string"}},
	{"name": "inner", "type": ["null", {"type": "record", "name": "Inner", "fields": [{"name": "t", "type": "string"}]}]},
	{"name": "again", "type": ["null", "Inner"]}
]}`

type fixed map[int]string

func (f fixed) Schema(_ context.Context, id int) (string, error) {
	s, ok := f[id]
	if !ok {
		return "", fmt.Errorf("there is no schema %d", id)
	}
	return s, nil
}

func framed(t *testing.T, id byte, schema string, native any) []byte {
	t.Helper()
	c, err := newCodec(schema)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.avro.BinaryFromNative([]byte{0, 0, 0, 0, id}, native)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLine(t *testing.T) {
	value := framed(t, 7, everything, map[string]any{
		"z": goavro.Union("long", 42), "none": nil, "amount": goavro.Union("bytes", []byte{0xff, 0x85}),
		"day": 19723, "clock": int64(3661000001), "at": int64(1700000000123456), "local": int64(-1),
		"raw": []byte{1, 0xff}, "x": 0.1, "nan": math.NaN(), "inf": float32(math.Inf(-1)), "on": true,
		"list": []any{nil, goavro.Union("int", 5)}, "map": map[string]any{"b": "2", "a": "<1>"},
		"inner": goavro.Union("a.b.Inner", map[string]any{"t": "é\n"}),
		"again": goavro.Union("a.b.Inner", map[string]any{"t": ""}),
	})
	r := &kafka.Record{Offset: 3, TimeMillis: 1700000000000, Key: []byte("plain key"), Value: value, Headers: []kafka.Header{
		{Key: "sluice.op", Value: []byte("t")}, {Key: "odd", Value: []byte{0, 0, 0, 0, 9, 1}}, {Key: "none"},
	}}
	got, err := NewPrinter(fixed{7: everything}).Line(t.Context(), nil, "crm.public.t", 1, r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"topic":"crm.public.t","partition":1,"offset":3,"time":"2023-11-14T22:13:20Z","key":"plain key","value":` +
		`{"z":42,"none":null,"amount":"-1.23","day":"2024-01-01","clock":"01:01:01.000001","at":"2023-11-14T22:13:20.123456Z",` +
		`"local":"1969-12-31T23:59:59.999999","raw":"\\x01ff","x":0.1,"nan":"NaN","inf":"-Infinity","on":true,"list":[null,5],` +
		`"map":{"a":"<1>","b":"2"},"inner":{"t":"é\n"},"again":{"t":""}},` +
		`"headers":{"sluice.op":"t","odd":{"base64":"AAAAAAkB"},"none":null}}` + "\n"
	if string(got) != want {
		t.Errorf("line is\n%swant\n%s", got, want)
	}
	if !json.Valid(got) {
		t.Error("the line is not JSON")
	}
}

func TestLineOfOtherRecords(t *testing.T) {
	for in, want := range map[string]string{
		"":               "null",
		"{\n \"a\": 1 }": `{"a":1}`,
		"text":           `"text"`,
		"\xff\x00":       `{"base64":"/wA="}`,
		"\x00\x00\x00":   `"\u0000\u0000\u0000"`,
	} {
		var value []byte
		if in != "" {
			value = []byte(in)
		}
		got, err := NewPrinter(fixed{}).value(t.Context(), nil, value)
		if err != nil || string(got) != want {
			t.Errorf("%q is shown as %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestLineOfBadRecords(t *testing.T) {
	for name, r := range map[string]*kafka.Record{
		"unknown schema": {Value: []byte{0, 0, 0, 0, 1, 2}},
		"cut short":      {Value: []byte{0, 0, 0, 0, 7, 2}},
		"left over":      {Key: append(framed(t, 8, `"long"`, 1), 0)},
		"bad schema":     {Key: []byte{0, 0, 0, 0, 9, 0}},
	} {
		p := NewPrinter(fixed{7: everything, 8: `"long"`, 9: `{"type": "record"}`})
		if line, err := p.Line(t.Context(), nil, "t", 0, r); err == nil {
			t.Errorf("%s: shown as %s", name, line)
		}
	}
}

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		b     []byte
		scale int
		want  string
	}{
		{nil, 0, "0"}, {[]byte{0}, 2, "0.00"}, {[]byte{5}, 2, "0.05"}, {[]byte{0xff}, 1, "-0.1"}, {[]byte{0x80}, 0, "-128"},
		{[]byte{0, 0x80}, 0, "128"}, {[]byte{0x01, 0, 0, 0, 0, 0, 0, 0, 0}, 4, "1844674407370955.1616"},
	} {
		if got := decimal(c.b, c.scale); got != c.want {
			t.Errorf("% x by %d is %s, want %s", c.b, c.scale, got, c.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 7, 0, 0})
	f.Add([]byte(`{"a": 1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &kafka.Record{Key: b, Value: b, Headers: []kafka.Header{{Key: "h", Value: b}}}
		line, err := NewPrinter(fixed{7: everything}).Line(t.Context(), nil, "t", 0, r)
		if err == nil && !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
	})
}
