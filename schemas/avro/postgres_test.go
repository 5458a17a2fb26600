package avro

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/linkedin/goavro/v2"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// typeCase is a type and the literals of values that are hard in it. special counts those of them
// that the Avro type cannot hold.
type typeCase struct {
	name    string
	special int
	values  []string
	iso     bool // schemas.timestamptz: iso
}

func typeCases() []typeCase {
	return append(plainCases(),
		typeCase{"timestamptz", 5, []string{"2026-01-02 03:04:05.678901+02", "1970-01-01 00:00:00+00", "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00", "1900-01-01 00:00:00+00",
			"10000-01-01 00:00:00+00", "0001-12-31 23:59:59.999999+00 BC", "infinity", "-infinity", "294276-12-31 23:59:59.999999+00"}, true},
		typeCase{"timestamptz(3)[]", 3, []string{`{"2026-01-02 03:04:05.5+00",NULL}`, "{infinity}", `{{"2026-01-02 03:04:05.5+00"}}`, `{"0044-03-15 00:00:00+00 BC"}`, "{}"}, true},
	)
}

func plainCases() []typeCase {
	return []typeCase{
		{"bool", 0, []string{"t", "f"}, false},
		{"int2", 0, []string{"0", "-1", "32767", "-32768"}, false},
		{"int4", 0, []string{"0", "2147483647", "-2147483648"}, false},
		{"int8", 0, []string{"0", "63", "-64", "64", "9223372036854775807", "-9223372036854775808"}, false},
		{"oid", 0, []string{"0", "4294967295"}, false},
		{"float4", 0, []string{"0", "-0", "NaN", "Infinity", "-Infinity", "1e-45", "3.4028235e38", "0.1", "123456", "999999", "1e6", "1234567", "1e-4", "1e-5", "16777217", "33554432", "1.17549435e-38", "-2.5"}, false},
		{"float8", 0, []string{"0", "-0", "NaN", "Infinity", "-Infinity", "5e-324", "1.7976931348623157e308", "0.1", "1e14", "1e15", "999999999999999", "123456789012345678", "1e23", "-1e23", "1e22", "9007199254740993", "2.2250738585072014e-308", "1e-4", "1e-5", "3.3", "5e22"}, false},
		{"numeric(12,2)", 1, []string{"0", "12.50", "-0.01", "0.01", "9999999999.99", "-9999999999.99", "100", "1000000", "10000.10", "-1.28", "1.27", "1.28", "NaN"}, false},
		{"numeric(5,5)", 1, []string{"0", "0.00001", "-0.99999", "0.5", "NaN"}, false},
		{"numeric(18,4)", 0, []string{"99999999999999.9999", "-99999999999999.9999", "0.0001", "12345678901234.5"}, false},
		{"numeric(19,0)", 0, []string{"9999999999999999999", "-9223372036854775808", "9223372036854775808", "1000000000000000000", "0"}, false},
		{"numeric(38,10)", 1, []string{"1234567890123456789012345678.0123456789", "-1234567890123456789012345678.0123456789", "0.0000000001", "1", "100000000000000000000", "-0.1", "NaN"}, false},
		{"numeric(1000,500)", 0, []string{"1e499", "-1e-500", "0"}, false},
		{"numeric", 0, []string{"0", "0.00", "1e1000", "1e-1000", "-123.4500", "NaN", "Infinity", "-Infinity", "10000", "99990000.0001", "0.0000001", "12345678901234567890.123456789"}, false},
		{"numeric(3,-2)", 0, []string{"12345", "-99900", "0"}, false},
		{"numeric(2,4)", 0, []string{"0.0012", "-0.0099"}, false},
		{"text", 0, []string{"", "plain", "ünïcödé 漢字 🚰", `quote ' " \ `, "line\nbreak"}, false},
		{"varchar(20)", 0, []string{"", "twenty"}, false},
		{"char(5)", 0, []string{"ab", "", "abcde"}, false},
		{"name", 0, []string{"a_name"}, false},
		{`"char"`, 0, []string{"x"}, false},
		{"xml", 0, []string{"<a>1</a>", `<?xml version="1.0" encoding="UTF-8"?><a/>`}, false},
		{"bytea", 0, []string{`\x`, `\x00ff10`, `\x616263`}, false},
		{"bit(3)", 0, []string{"101", "000"}, false},
		{"bit(9)", 0, []string{"101010101"}, false},
		{"varbit", 0, []string{"", "1", "0000000011111111"}, false},
		{"uuid", 0, []string{"00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, false},
		{"json", 0, []string{`{"a": 1.00000000000000000001, "b":[null]}`, "null", `"x"`}, false},
		{"jsonb", 0, []string{`{"a": 1.00000000000000000001, "b":[null]}`, "null", "1e5"}, false},
		{"date", 2, []string{"2026-01-02", "1970-01-01", "1969-12-31", "2000-02-29", "1900-03-01", "0001-01-01", "0044-03-15 BC", "4713-01-01 BC", "12345-06-07", "5874897-12-31", "infinity", "-infinity"}, false},
		{"time", 0, []string{"00:00:00", "23:59:59.999999", "24:00:00", "12:00:00.5", "00:00:00.000001"}, false},
		{"time(3)", 0, []string{"12:34:56.789"}, false},
		{"timetz", 0, []string{"00:00:00+00", "23:59:59.999999-08", "12:00:00+05:30", "12:00:00.1-00:30", "24:00:00+15:59:59"}, false},
		{"timestamp", 4, []string{"2026-01-02 03:04:05.678901", "1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "0001-01-01 00:00:00", "0044-03-15 12:00:00.5 BC", "4713-01-01 00:00:00 BC", "infinity", "-infinity", "294276-12-31 23:59:59.999999", "294247-01-10 04:00:54.775807", "294247-01-10 04:00:54.775808", "99999-12-31 00:00:00"}, false},
		{"timestamptz", 3, []string{"2026-01-02 03:04:05.678901+02", "1970-01-01 00:00:00+00", "4713-01-01 00:00:00+00 BC", "infinity", "-infinity", "294276-12-31 23:59:59.999999+00", "1900-01-01 00:00:00+00"}, false},
		{"interval", 0, []string{"0", "1 year 2 months 3 days 04:05:06.789", "-1 year -2 months +3 days -04:05:06.789", "-0.000001 seconds", "1 day", "100 hours", "-100:59:59.5", "13 months", "178000000 years", "00:01", "1 second"}, false},
		{"inet", 0, []string{"192.168.0.1", "192.168.0.1/24", "0.0.0.0/0", "::1", "::", "::1.2.3.4", "::ffff:1.2.3.4", "2001:db8::1/64", "1:0:0:2::3", "1:2:3:4:5:6:0:8", "fe80::1", "::1:0", "0:0:0:0:0:1:2:3"}, false},
		{"cidr", 0, []string{"192.168.0.0/24", "10.1.2.3/32", "2001:db8::/32", "::/0"}, false},
		{"macaddr", 0, []string{"08:00:2b:01:02:03"}, false},
		{"macaddr8", 0, []string{"08:00:2b:01:02:03:04:05"}, false},
		{"money", 0, []string{"1234.56", "-0.01"}, false},
		{"pg_lsn", 0, []string{"0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"}, false},
		{"int4range", 0, []string{"[1,5)", "empty", "(,)"}, false},
		{"tstzrange", 0, []string{"[2026-01-01 00:00:00+00,)"}, false},
		{"int4multirange", 0, []string{"{[1,2),[5,9)}"}, false},
		{"point", 0, []string{"(1.5,-2)"}, false},
		{"box", 0, []string{"(3,4),(1,2)"}, false},
		{"tsvector", 0, []string{"'a':1 'b':2"}, false},
		{"mood", 0, []string{"sad", "very happy"}, false},
		{"mood[]", 0, []string{`{sad,"very happy",NULL}`}, false},
		{"pair", 0, []string{`(1,"a b")`}, false},
		{"positive", 0, []string{"1.50", "2"}, false},
		{"int4[]", 3, []string{"{}", "{1,NULL,-3}", "{2147483647}", "{{1,2},{3,4}}", "[0:1]={7,8}", "[2:3][-1:0]={{1,NULL},{3,4}}"}, false},
		{"int2[]", 0, []string{"{1}"}, false},
		{"bool[]", 0, []string{"{t,f,NULL}"}, false},
		{"text[]", 1, []string{"{}", `{"","NULL",NULL,null,"a,b","q\"q","b\\s","{x}"," lead","tab	tab",plain}`, `{{"a b",""},{"NULL",NULL}}`, "{äöü,🚰}"}, false},
		{"numeric(10,2)[]", 2, []string{"{1.5,NULL,-0.01}", "{1.5,NaN}", "{{NaN,1},{2,3}}"}, false},
		{"numeric[]", 0, []string{"{1.50,NaN,1e30}"}, false},
		{"timestamp[]", 2, []string{`{"2026-01-02 03:04:05.5",NULL}`, "{infinity}", `{{"0044-03-15 00:00:00 BC"},{-infinity}}`}, false},
		{"timestamptz[]", 1, []string{`{"2026-01-02 03:04:05.5+00"}`, `{{"294276-12-31 23:59:59.999999+00",infinity}}`}, false},
		{"date[]", 1, []string{`{2026-01-02,"0044-03-15 BC"}`, "{infinity}"}, false},
		{"time[]", 0, []string{"{12:00:00,NULL}"}, false},
		{"uuid[]", 0, []string{"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"}, false},
		{"jsonb[]", 0, []string{`{"{\"a\": [1, 2]}","null"}`}, false},
		{"bytea[]", 0, []string{`{"\\x00ff","\\x"}`}, false},
		{"float8[]", 0, []string{"{NaN,Infinity,-0,1e23}"}, false},
		{"interval[]", 0, []string{"{1 day,00:00:01}"}, false},
		{"inet[]", 0, []string{"{10.0.0.1,::1/64}"}, false},
		{"box[]", 0, []string{"{(3,4),(1,2);(1,1),(0,0)}"}, false},
		{"varbit[]", 0, []string{"{101,NULL}"}, false},
		{"varchar(5)[]", 0, []string{"{ab}"}, false},
		{"int4range[]", 0, []string{`{"[1,5)",empty}`}, false},
	}
}

const typeSetup = `
	CREATE TYPE mood AS ENUM ('sad', 'very happy');
	CREATE TYPE pair AS (a int, b text);
	CREATE DOMAIN positive AS numeric(6,2) CHECK (VALUE > 0)`

// TestValuesOfPostgres takes every type's values from a real server in both forms: they must give
// the same bytes, be readable by another Avro library, and come back as the server's own text.
func TestValuesOfPostgres(t *testing.T) {
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			conn := connect(t, version)
			for _, tc := range typeCases() {
				t.Run(tc.name, func(t *testing.T) { checkType(t, conn, tc) })
			}
		})
	}
}

func connect(t *testing.T, version int) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(harness.SharedPostgres(t, version).NewDatabase())
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec // the table changes under the statements
	for k, v := range change.SessionSettings {
		config.RuntimeParams[k] = v
	}
	conn, err := pgx.ConnectConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(context.Background(), typeSetup); err != nil {
		t.Fatal(err)
	}
	return conn
}

// serverValue is one value in the server's own forms.
type serverValue struct{ binary, text []byte }

func checkType(t *testing.T, conn *pgx.Conn, tc typeCase) {
	values, typ := fetch(t, conn, tc)
	table := &change.Table{Schema: "public", Name: "t", Identity: change.IdentityDefault, Key: []int{0}, Columns: []change.Column{
		{Name: "id", Type: schemas.TypeOf(23, -1, "", nil)}, {Name: "v", Type: typ},
	}}
	p, err := schemas.ForTable("s.public.t", table)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(Options{Source: "s", Topic: "s.public.t", Table: table})
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(p.Key, p.Value)
	if err != nil {
		t.Fatal(err)
	}
	oracle, err := goavro.NewCodec(withoutLogical(p.Value))
	if err != nil {
		t.Fatal(err)
	}
	checkTypeRead(t, d.Table(), typ)
	special := 0
	for _, v := range values {
		body := encodeForms(t, e, typ, v)
		native, rest, err := oracle.NativeFromBinary(body)
		if err != nil || len(rest) > 0 {
			t.Errorf("%s: the oracle cannot read it: %v, %d bytes left", v.text, err, len(rest))
			continue
		}
		if native.(map[string]any)["special"] != nil {
			special++
		}
		checkText(t, d, body, v.text)
	}
	if special != tc.special {
		t.Errorf("%d special values, want %d", special, tc.special)
	}
}

func checkTypeRead(t *testing.T, table *change.Table, want change.Type) {
	t.Helper()
	got := table.Columns[1].Type
	if got.Name != want.Name || got.Kind != want.Kind || got.Precision != want.Precision || got.Scale != want.Scale {
		t.Errorf("the schema says type %+v, was %+v", got, want)
	}
}

func fetch(t *testing.T, conn *pgx.Conn, tc typeCase) (values []serverValue, typ change.Type) {
	t.Helper()
	ctx := context.Background()
	if _, err := conn.Exec(ctx, `DROP TABLE IF EXISTS t; CREATE TABLE t (n int, v `+tc.name+`)`); err != nil {
		t.Fatal(err)
	}
	if typ = columnType(t, conn); tc.iso {
		typ = schemas.WithISO(typ)
	}
	for i, v := range tc.values {
		if _, err := conn.Exec(ctx, `INSERT INTO t VALUES ($1, $2::text::`+tc.name+`)`, i, v); err != nil {
			t.Fatal(err)
		}
	}
	format := int16(0)
	if Binary(typ) {
		format = 1
	}
	rows, err := conn.Query(ctx, `SELECT v, v FROM t ORDER BY n`, pgx.QueryResultFormats{format, 0})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		raw := rows.RawValues()
		values = append(values, serverValue{bytes.Clone(raw[0]), bytes.Clone(raw[1])})
	}
	if rows.Err() != nil || len(values) != len(tc.values) {
		t.Fatalf("%d values read: %v", len(values), rows.Err())
	}
	return values, typ
}

// columnType resolves t.v as a catalogue does: domains to their base, enums to text.
func columnType(t *testing.T, conn *pgx.Conn) change.Type {
	t.Helper()
	const q = `
		SELECT coalesce(nullif(b.typbasetype, 0), b.oid), CASE WHEN b.typtype = 'd' THEN b.typtypmod ELSE a.atttypmod END,
			format_type(coalesce(nullif(b.typbasetype, 0), b.oid), CASE WHEN b.typtype = 'd' THEN b.typtypmod ELSE a.atttypmod END),
			b.typtype::text, coalesce(e.oid, 0), coalesce(e.typname, ''), coalesce(e.typtype::text, '')
		FROM pg_attribute a JOIN pg_type b ON b.oid = a.atttypid
		LEFT JOIN pg_type e ON e.typarray = b.oid
		WHERE a.attrelid = 't'::regclass AND a.attname = 'v'`
	var oid, elemOID uint32
	var mod int32
	var name, kind, elemName, elemKind string
	if err := conn.QueryRow(context.Background(), q).Scan(&oid, &mod, &name, &kind, &elemOID, &elemName, &elemKind); err != nil {
		t.Fatal(err)
	}
	var elem *change.Type
	if elemOID != 0 {
		e := schemas.TypeOf(elemOID, mod, elemName, nil)
		if elemKind == "e" {
			e.Kind = change.TextLike
		}
		elem = &e
	}
	typ := schemas.TypeOf(oid, mod, name, elem)
	if kind == "e" {
		typ.Kind = change.TextLike
	}
	return typ
}

// encodeForms encodes the value in both forms and demands the same bytes.
func encodeForms(t *testing.T, e *Encoder, typ change.Type, v serverValue) []byte {
	t.Helper()
	g := testGroup()
	encode := func(f change.Format, data []byte) []byte {
		row := change.Row{{Format: change.Text, Data: []byte("1")}, {Format: f, Data: data}}
		b, err := e.Envelope(nil, g, &change.Change{Op: change.Update, Before: row, BeforeKind: change.BeforeKey, After: row}, Order{}, 0)
		if err != nil {
			t.Fatalf("%s: %v", v.text, err)
		}
		return b[frameLength:]
	}
	body := encode(change.Text, v.text)
	if Binary(typ) {
		if other := encode(change.Binary, v.binary); !bytes.Equal(body, other) {
			t.Errorf("%s: the text gives %q, the binary form %q", v.text, body, other)
		}
	}
	return body
}

func checkText(t *testing.T, d *Decoder, body, want []byte) {
	t.Helper()
	var rec Record
	var arena []byte
	if err := d.Envelope(body, &rec, &arena); err != nil {
		t.Errorf("%s: %v", want, err)
		return
	}
	got := rec.Change.After[1]
	if got.Format != change.Text || !bytes.Equal(got.Data, want) {
		t.Errorf("came back as %c %q, was %q", got.Format, got.Data, want)
	}
	if rec.Change.BeforeKind != change.BeforeKey || rec.Change.Before[1].Format != change.Absent {
		t.Errorf("the old row came back as %v", rec.Change.Before)
	}
}
