package postgres

import "testing"

func TestWidens(t *testing.T) {
	for _, c := range []struct {
		from, to string
		label    bool
		want     bool
	}{
		{"smallint", "bigint", false, true}, {"bigint", "integer", false, false}, {"integer", "numeric", false, true},
		{"integer", "numeric(10,0)", false, true}, {"integer", "numeric(10,2)", false, false}, {"real", "double precision", false, true},
		{"double precision", "real", false, false}, {"numeric(6,2)", "numeric(10,4)", false, true}, {"numeric(6,2)", "numeric(7,4)", false, false},
		{"numeric(6,2)", "numeric", false, true}, {"numeric", "numeric(6,2)", false, false}, {"character varying(5)", "character varying(6)", false, true},
		{"character varying(6)", "character varying(5)", false, false}, {"character varying", "text", false, true}, {"text", "character varying", false, true},
		{"text", "character varying(5)", false, false}, {"character(3)", "text", false, true}, {"character(3)", "character(5)", false, true},
		{"character varying(3)", "character(5)", false, false}, {"timestamp(3) without time zone", "timestamp without time zone", false, true},
		{"timestamp(3) without time zone", "timestamp(6) without time zone", false, true}, {"timestamp without time zone", "timestamp(3) without time zone", false, false},
		{"timestamp without time zone", "timestamp with time zone", false, false}, {"date", "timestamp without time zone", false, true},
		{"timestamp with time zone", "text", false, false}, {"mood", "text", true, true}, {"mood", "text", false, false}, {"integer[]", "bigint[]", false, true},
		{"integer", "bigint[]", false, false}, {"bit(3)", "bit(4)", false, false}, {"bit(3)", "bit varying(3)", false, true}, {"json", "jsonb", false, true},
		{"jsonb", "json", false, false}, {"numeric(3,-2)", "numeric(5,-2)", false, false},
	} {
		if got := widens(c.from, c.to, c.label); got != c.want {
			t.Errorf("%s to %s: %v", c.from, c.to, got)
		}
	}
}
