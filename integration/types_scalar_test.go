package integration

import "strings"

// binaryTypes are those whose binary form is read.
func binaryTypes() []typeCase {
	return append(append(numberTypes(), textTypes()...), append(timeTypes(), ownTypes()...)...)
}

func numberTypes() []typeCase {
	digits := strings.Repeat("1234567890", 50)
	return []typeCase{
		{name: "boolean", ordinary: []string{"t", "f"}},
		{name: "smallint", ordinary: []string{"0", "-1"}, extremes: []string{"32767", "-32768"}},
		{name: "integer", ordinary: []string{"0", "-1"}, extremes: []string{"2147483647", "-2147483648"}},
		{name: "bigint", ordinary: []string{"0", "-1"}, extremes: []string{"9223372036854775807", "-9223372036854775808", "9007199254740993"}},
		{name: "oid", ordinary: []string{"0", "16384"}, extremes: []string{"4294967295"}},
		{name: "real", ordinary: []string{"0", "-2.5", "0.1"}, extremes: []string{"3.4028235e38", "1e-45", "16777217", "1.17549435e-38"}, specials: []string{"NaN", "Infinity", "-Infinity", "-0"}},
		{name: "double precision", ordinary: []string{"0", "-2.5", "0.1"}, extremes: []string{"1.7976931348623157e308", "5e-324", "1e23", "9007199254740993"}, specials: []string{"NaN", "Infinity", "-Infinity", "-0"}},
		{name: "numeric", ordinary: []string{"0", "-123.4500", "0.00"}, extremes: []string{digits + digits, "-0." + digits + digits, "1e1000", "1e-1000", "1e131071"}, specials: []string{"NaN", "Infinity", "-Infinity"}},
		{name: "numeric(12,2)", ordinary: []string{"0", "12.50", "-0.01"}, extremes: []string{"9999999999.99", "-9999999999.99"}, specials: []string{"NaN"}},
		{name: "numeric(38,10)", ordinary: []string{"0", "1"}, extremes: []string{"1234567890123456789012345678.0123456789", "-1234567890123456789012345678.0123456789", "0.0000000001"}, specials: []string{"NaN"}},
		{name: "numeric(1000,500)", ordinary: []string{"0", "1.5"}, extremes: []string{digits + "." + digits, "-" + digits + "." + digits}, specials: []string{"NaN"}},
		{name: "numeric(3,-2)", ordinary: []string{"0", "1200"}, extremes: []string{"99900", "-99900"}, specials: []string{"NaN"}},
		{name: "numeric(2,4)", ordinary: []string{"0", "0.0012"}, extremes: []string{"0.0099", "-0.0099"}, specials: []string{"NaN"}},
	}
}

func textTypes() []typeCase {
	odd := []string{"NULL", `quote ' " \ {,} `, "line\nbreak\ttab\r", "ünïcödé 漢字 🚰", `\N`, "  blanks  ", "\x01\x7f"}
	return []typeCase{
		{name: "text", empty: []string{""}, ordinary: append([]string{"plain"}, odd...), extremes: []string{large(1 << 20)}},
		{name: "character varying", empty: []string{""}, ordinary: odd},
		{name: "character varying(20)", empty: []string{""}, ordinary: []string{"plain", "  blanks  "}, extremes: []string{strings.Repeat("🚰", 20)}},
		{name: "character(5)", empty: []string{""}, ordinary: []string{"ab", " ab"}, extremes: []string{"漢字漢字漢"}},
		{name: "character(1)", empty: []string{""}, ordinary: []string{"x"}},
		{name: "bpchar", empty: []string{""}, ordinary: []string{"ab  "}},
		{name: "name", empty: []string{""}, ordinary: []string{"a_name", `odd "name"`}, extremes: []string{strings.Repeat("n", 63)}},
		{name: `"char"`, empty: []string{""}, ordinary: []string{"x", "'", `"`}, extremes: []string{"~", "\x01"}, specials: []string{`\351`, `\377`}},
		{name: "citext", extension: "citext", empty: []string{""}, ordinary: []string{"MixedCase", "ünïcödé"}},
		{name: "uuid", ordinary: []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, extremes: []string{"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"}},
		{name: "json", empty: []string{"{}", "[]", `""`}, ordinary: []string{`{"a": 1,  "a":[null, "x\"y"]}`, "null"}, extremes: []string{`{"n": 1234567890123456789012345678901234567890.1234567890, "e": 1E-400}`}},
		{name: "jsonb", empty: []string{"{}", "[]", `""`}, ordinary: []string{`{"a": 1, "b":[null, "x\"y"]}`, "null"}, extremes: []string{`{"n": 1234567890123456789012345678901234567890.1234567890, "e": 1E-400}`}},
		{name: "xml", empty: []string{""}, ordinary: []string{"<a>1</a>", "text <b/>"}, specials: []string{`<?xml version="1.0" encoding="UTF-8"?><a>ü</a>`, `<?xml version="1.1" standalone="yes"?><a/>`, `<!DOCTYPE a><a/>`}},
		{name: "bytea", empty: []string{`\x`}, ordinary: []string{`\x00ff10`, `\x5c78`}, extremes: []string{`\x` + large(2<<20)}},
		{name: "bit(1)", ordinary: []string{"1", "0"}},
		{name: "bit(9)", ordinary: []string{"101010101"}, extremes: []string{"000000000", "111111111"}},
		{name: "bit varying", empty: []string{""}, ordinary: []string{"1", "0000000011111111"}, extremes: []string{strings.Repeat("10", 999)}},
		{name: "bit varying(20)", empty: []string{""}, ordinary: []string{"101"}, extremes: []string{strings.Repeat("1", 20)}},
		{name: "inet", ordinary: []string{"192.168.0.1", "192.168.0.1/24", "::1.2.3.4", "::ffff:1.2.3.4"}, extremes: []string{"0.0.0.0/0", "255.255.255.255", "::", "1:0:0:2::3", "2001:db8::1/64"}},
		{name: "cidr", ordinary: []string{"192.168.0.0/24", "2001:db8::/32"}, extremes: []string{"10.1.2.3/32", "::/0"}},
		{name: "macaddr", ordinary: []string{"08:00:2b:01:02:03"}, extremes: []string{"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"}},
		{name: "macaddr8", ordinary: []string{"08:00:2b:01:02:03:04:05"}, extremes: []string{"ff:ff:ff:ff:ff:ff:ff:ff"}},
		{name: "pg_lsn", ordinary: []string{"16/B374D848"}, extremes: []string{"0/0", "FFFFFFFF/FFFFFFFF"}},
	}
}

func timeTypes() []typeCase {
	return []typeCase{
		{name: "date", ordinary: []string{"2026-01-02", "1969-12-31", "2000-02-29"}, extremes: []string{"0001-01-01", "0044-03-15 BC", "4713-01-01 BC", "5874897-12-31"}, specials: []string{"infinity", "-infinity"}},
		{name: "time without time zone", ordinary: []string{"12:00:00.5", "03:04:05"}, extremes: []string{"00:00:00", "24:00:00", "23:59:59.999999", "00:00:00.000001"}},
		{name: "time(3) without time zone", ordinary: []string{"12:34:56.789"}, extremes: []string{"24:00:00"}},
		{name: "time with time zone", ordinary: []string{"12:00:00+05:30", "03:04:05.678-08"}, extremes: []string{"00:00:00+00", "24:00:00+15:59:59", "00:00:00-15:59"}},
		{name: "time(2) with time zone", ordinary: []string{"12:00:00.25+01"}, extremes: []string{"24:00:00-12"}},
		{name: "timestamp without time zone", ordinary: []string{"2026-01-02 03:04:05.678901", "1969-12-31 23:59:59.999999"}, extremes: []string{"0001-01-01 00:00:00", "0044-03-15 12:00:00.5 BC", "4713-01-01 00:00:00 BC", "294247-01-10 04:00:54.775807"}, specials: []string{"infinity", "-infinity", "294276-12-31 23:59:59.999999"}},
		{name: "timestamp(3) without time zone", ordinary: []string{"2026-01-02 03:04:05.678"}, extremes: []string{"99999-12-31 23:59:59.999"}, specials: []string{"infinity"}},
		{name: "timestamp with time zone", ordinary: []string{"2026-01-02 03:04:05.678901+02", "1969-12-31 23:59:59.999999+00"}, extremes: []string{"0001-01-01 00:00:00+00", "4713-01-01 00:00:00+00 BC", "294247-01-10 04:00:54.775807+00"}, specials: []string{"infinity", "-infinity", "294276-12-31 23:59:59.999999+00"}},
		{name: "timestamp(0) with time zone", ordinary: []string{"2026-01-02 03:04:05+02"}, specials: []string{"-infinity"}},
		{name: "interval", empty: []string{"0"}, ordinary: []string{"1 year 2 months 3 days 04:05:06.789", "1 day", "00:00:01"}, extremes: []string{"-1 year -2 months +3 days -04:05:06.789", "-0.000001 seconds", "178000000 years", "-100:59:59.5", "2147483647 days", "1 month -1 day 00:00:00.000001"}},
		{name: "interval(2)", ordinary: []string{"1.25 seconds"}},
		{name: "interval(6)", since: 17, ordinary: []string{"1 day"}, specials: []string{"infinity", "-infinity"}},
		{name: "interval year to month", ordinary: []string{"1 year 2 months"}, extremes: []string{"-13 months"}},
		{name: "interval day to second(3)", ordinary: []string{"3 days 04:05:06.789"}},
	}
}

// ownTypes are enums and domains, whose base is what travels.
func ownTypes() []typeCase {
	return []typeCase{
		{name: "public.mood", ordinary: []string{"sad", "very happy", "ok"}, extremes: []string{`it's, "so" so`}},
		{name: "other.mood", ordinary: []string{"ok", "grün", "NULL"}},
		{name: "other.feeling", ordinary: []string{"grün"}},
		{name: "other.price", ordinary: []string{"1.50"}, extremes: []string{"4999.99", "0.01"}},
		{name: "other.grid", empty: []string{"{}"}, ordinary: []string{"{1,NULL}"}, specials: []string{"{{1,2},{3,4}}", "[0:1]={7,8}"}, single: true},
	}
}
