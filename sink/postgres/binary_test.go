package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
)

// binaryCases are columns with an expression over the number g of a row, and values of which not all have a binary form.
var binaryCases = []struct{ typ, random, values string }{
	{"boolean", "random() < 0.5", "true"},
	{"smallint", "(random() * 65535 - 32768)::int", "-32768, 32767"},
	{"integer", "(random() * 4294967295 - 2147483648)::bigint", "-2147483648, 2147483647"},
	{"bigint", "((random() - 0.5) * 1.8e19)::numeric(20)", "-9223372036854775808, 9223372036854775807"},
	{"real", "(random() - 0.5) * 10 ^ (random() * 60 - 30)", "'NaN', 'Infinity', '-Infinity', -0.0, 1e-45"},
	{"double precision", "(random() - 0.5) * 10 ^ (random() * 600 - 300)", "'NaN', 'Infinity', '-Infinity', 5e-324"},
	{"numeric", "((random() - 0.5) * 10 ^ (random() * 40 - 20))::numeric * 10 ^ (g % 41 - 20)::numeric", "'NaN', 'Infinity', 0, 0.000, 1e131071, 1e-16383, -10000, 0.00010000"},
	{"numeric(12,2)", "(random() - 0.5) * 1e9", "'NaN', 9999999999.99"},
	{"text", "repeat(chr(32 + g % 5000), g % 50)", "'', E'\\t\\n\\\\', 'NULL'"},
	{"varchar(9)", "repeat(chr(256 + g), g % 10)", "'ab   '"},
	{"bytea", "decode(repeat(lpad(to_hex(g % 256), 2, '0'), g % 300), 'hex')", "'', '\\x00'"},
	{"uuid", "md5(g::text)", "'00000000-0000-0000-0000-000000000000'"},
	{"date", "date '0001-01-01' + (random() * 3652058)::int", "'infinity', '-infinity', '0044-03-15 BC', '12345-01-01', '0001-01-01', '9999-12-31'"},
	{"timestamp", "timestamp '0001-01-01' + random() * interval '9998 years'", "'infinity', '-infinity', '4713-01-01 BC', '294276-12-31 23:59:59.999999'"},
	{"timestamp(3)", "timestamp '0001-01-01' + random() * interval '9998 years'", "'2000-01-01'"},
	{"timestamptz", "timestamptz '0001-01-02+00' + random() * interval '9998 years'", "'infinity', '-infinity', '4713-01-02 BC', '294276-12-31 00:00:00+00'"},
	{"json", "json_build_object('n', g, 't', E'\\u00e9 \"')", "'[1,  2]'"},
	{"jsonb", "jsonb_build_object('n', random()::numeric, 't', chr(256 + g))", "'null'"},
}

// Rows arrive as they are in whatever form they travel: by COPY and by arrays, in binary and, where a value among them
// has no binary form, as text; and rows of a table with a column of a type that has none.
func TestBinaryForms(t *testing.T) {
	d := fresh(t)
	d.exec(t, "CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE DOMAIN positive AS bigint CHECK (value > 0)")
	for i, c := range binaryCases {
		t.Run(c.typ, func(t *testing.T) {
			for j, random := range []bool{true, false} {
				want, got := fmt.Sprintf("want_%d_%d", i, j), fmt.Sprintf("got_%d_%d", i, j)
				d.exec(t, "CREATE TABLE "+want+" (k text, n int, p positive, v "+c.typ+", PRIMARY KEY (k, n)); CREATE TABLE "+got+" (LIKE "+want+" INCLUDING ALL)")
				d.exec(t, "INSERT INTO "+want+" SELECT 'k' || g, g, g, ("+c.random+")::"+c.typ+" FROM generate_series(1, 300) g")
				if !random {
					d.exec(t, "INSERT INTO "+want+" SELECT 'special', 1000 + o, o, v::"+c.typ+" FROM unnest(ARRAY["+c.values+"]) WITH ORDINALITY u(v, o)")
				}
				d.carry(t, table(got, "k text", "n integer", "p bigint", "v "+c.typ), want)
			}
		})
	}
	d.exec(t, "CREATE TABLE want_mood (k text, n int, p positive, v mood, PRIMARY KEY (k, n)); CREATE TABLE got_mood (LIKE want_mood INCLUDING ALL)")
	d.exec(t, "INSERT INTO want_mood SELECT 'k', g, 1, 'sad' FROM generate_series(1, 300) g")
	d.carry(t, table("got_mood", "k text", "n integer", "p bigint", "v mood"), "want_mood")
}

// carry writes the rows of want as new ones, as old ones with other values, and away.
func (d *database) carry(t *testing.T, tb *change.Table, want string) {
	t.Helper()
	tb.Key = []int{0, 1}
	d.exec(t, "INSERT INTO "+want+" VALUES ('null', 0, 1, NULL)")
	s := d.resumed(t, hard(tb.Name))
	defer func() { _ = s.Close() }()
	differ := "SELECT count(*) FROM " + want + " w FULL JOIN " + tb.Name + " g USING (k, n) WHERE (w.p, w.v::text) IS DISTINCT FROM (g.p, g.v::text)"
	var creates, updates, deletes []change.Change
	for _, r := range d.texts(t, want, "k", "n", "p", "coalesce(v::text, '<null>')") {
		creates = append(creates, change.Change{Op: change.Create, Table: tb, After: row(r...)})
		updates = append(updates, change.Change{Op: change.Update, Table: tb, After: row(r...)})
		deletes = append(deletes, change.Change{Op: change.Delete, Table: tb, BeforeKind: change.BeforeKey, Before: row(r[0], r[1], "<null>", "<null>")})
	}
	if len(creates) < 300 {
		t.Fatal(len(creates), " rows")
	}
	mustApply(t, s, creates...)
	d.want(t, differ, "0")
	d.exec(t, "UPDATE "+tb.Name+" SET v = NULL, p = 77")
	mustApply(t, s, updates...)
	d.want(t, differ, "0")
	mustApply(t, s, deletes...)
	d.want(t, "SELECT count(*) FROM "+tb.Name, "0")
}

// texts gives columns of a table as the source would send them.
func (d *database) texts(t *testing.T, from string, columns ...string) (out [][]string) {
	t.Helper()
	const between = "\x1f"
	d.exec(t, "SET TimeZone = 'UTC'")
	for _, line := range d.values(t, "SELECT concat_ws('"+between+"', "+strings.Join(columns, ", ")+") FROM "+from) {
		out = append(out, strings.Split(line, between))
	}
	return out
}
