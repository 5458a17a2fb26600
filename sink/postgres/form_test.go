package postgres

import (
	"encoding/hex"
	"testing"
)

// What a form does not know in every detail is left to the text.
func TestFormsKnowTheirTexts(t *testing.T) {
	const none = "none"
	for _, c := range []struct{ typ, text, want string }{
		{"boolean", "t", "01"}, {"boolean", "true", none},
		{"smallint", "-2", "fffe"}, {"smallint", "32768", none},
		{"integer", "7", "00000007"}, {"integer", "2147483648", none}, {"integer", "", none},
		{"bigint", "-9223372036854775808", "8000000000000000"}, {"bigint", "1.0", none}, {"bigint", " 1", none},
		{"real", "1.5", "3fc00000"}, {"real", "1e39", none},
		{"double precision", "-Infinity", "fff0000000000000"}, {"double precision", "x", none},
		{"bytea", `\x00ff`, "00ff"}, {"bytea", `\x0`, none}, {"bytea", "abc", none},
		{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"},
		{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g", none}, {"uuid", "a0eebc999c0b-4ef8-bb6d-6bb9bd380a11-", none},
		{"date", "2000-01-02", "00000001"}, {"date", "1999-12-31", "ffffffff"}, {"date", "infinity", "7fffffff"}, {"date", "-infinity", "80000000"},
		{"date", "2023-02-29", none}, {"date", "0044-03-15 BC", none}, {"date", "10000-01-01", none}, {"date", "2000-01-02 00:00:00", none},
		{"timestamp without time zone", "2000-01-01 00:00:01.5", "000000000016e360"}, {"timestamp without time zone", "2000-01-01 00:00:01+00", none},
		{"timestamp without time zone", "2000-01-01", none}, {"timestamp without time zone", "2000-01-01 00:00:60", none},
		{"timestamp without time zone", "2000-01-01 00:00:00.0000001", none}, {"timestamp without time zone", "-infinity", "8000000000000000"},
		{"timestamp with time zone", "1999-12-31 23:59:59.999999+00", "ffffffffffffffff"}, {"timestamp with time zone", "2000-01-01 00:00:01+01", none},
		{"timestamp with time zone", "2000-01-01 00:00:01", none}, {"timestamp with time zone", "infinity", "7fffffffffffffff"},
		{"numeric", "-12345.60", "000300014000000200010929" + "1770"}, {"numeric", "0", "00010000000000000000"},
		{"numeric", "NaN", none}, {"numeric", "1e5", none}, {"numeric", "1.", none}, {"numeric", ".5", none}, {"numeric", "1.2.3", none}, {"numeric", "", none},
		{"jsonb", "[1]", "015b315d"}, {"text", "", ""},
	} {
		got := none
		if b, ok := forms[c.typ].append([]byte{}, []byte(c.text)); ok {
			got = hex.EncodeToString(b)
		}
		if got != c.want {
			t.Errorf("%s %q: %s, want %s", c.typ, c.text, got, c.want)
		}
	}
}
