package postgres_test

import (
	"fmt"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// narrowCase is a column of the source over a destination column that somebody made, with values that it
// holds and values that PostgreSQL would round or cut there without an error.
type narrowCase struct {
	from          change.Type
	to            string
	kept, changed []string
}

func narrowCases() []narrowCase {
	typ := func(oid uint32, mod int32) change.Type { return schemas.TypeOf(oid, mod, "", nil) }
	number, text, stamp, stamptz := typ(1700, 12<<16|4+4), typ(25, -1), typ(1114, -1), typ(1184, -1)
	return []narrowCase{
		{number, "numeric(6,1)", []string{"1.2000", "-7.5", "NaN", "100"}, []string{"1.25", "0.0001"}},
		{number, "numeric(6,-2)", []string{"1200.0000", "0"}, []string{"1250", "1200.0001"}},
		{typ(701, -1), "numeric(8,2)", []string{"1.25", "1e+02"}, []string{"1.5e-07", "0.125"}},
		{number, "real", []string{"0.1000", "2.5"}, []string{"16777217", "12345678.1234"}},
		{number, "double precision", []string{"0.1000", "12345678.1234"}, nil},
		{typ(1700, -1), "double precision", []string{"1e10", "NaN"}, []string{"9007199254740993", "0.12345678901234567890"}},
		{typ(701, -1), "real", []string{"0.5", "Infinity"}, []string{"0.123456789012"}},
		{typ(23, -1), "real", []string{"16777216"}, []string{"16777217"}},
		{text, "varchar(3)", []string{"abc", "ab ", ""}, []string{"abc  "}},
		{text, "char(3)", []string{"abc", "a"}, []string{"a "}},
		{text, "name", []string{"a"}, []string{fmt.Sprintf("%064d", 1)}},
		{text, `"char"`, []string{"a", ""}, []string{"ab"}},
		{stamp, "timestamp(3)", []string{"2026-01-02 03:04:05.678", "2026-01-02 03:04:05", "infinity"}, []string{"2026-01-02 03:04:05.6789"}},
		{stamptz, "timestamptz(0)", []string{"2026-01-02 03:04:05+00"}, []string{"2026-01-02 03:04:05.5+00"}},
		{stamp, "date", []string{"2026-01-02 00:00:00", "-infinity"}, []string{"2026-01-02 03:04:05", "0044-03-15 00:00:00.1 BC"}},
		{stamp, "time", nil, []string{"2026-01-02 03:04:05"}},
		{typ(1083, -1), "time(2)", []string{"03:04:05.67"}, []string{"03:04:05.678"}},
		{typ(1266, -1), "time", nil, []string{"03:04:05+02"}},
		{typ(1186, -1), "interval(1)", []string{"PT1.5S", "P1D"}, []string{"PT1.25S"}},
		{typ(1186, -1), "interval day to hour", nil, []string{"P1DT1H1M"}},
		{typ(1231, -1), "numeric(6,1)[]", []string{"{}", "{1.5,NULL}", "{{1},{2}}"}, []string{"{1.5,1.25}", "[0:1][1:1]={{1},{2.22}}"}},
		{typ(1009, -1), "varchar(2)[]", []string{`{"a ","a,"}`}, []string{`{"\"a  "}`}},
	}
}

// A value that a destination column would change in silence stops the sink, by name of table, column and
// row, and all others arrive.
func TestNarrowColumns(t *testing.T) {
	d := fresh(t)
	for i, c := range narrowCases() {
		name := fmt.Sprintf("n%d", i)
		d.exec(t, "CREATE DOMAIN d_"+name+" AS "+c.to+"; CREATE TABLE "+name+" (id int PRIMARY KEY, v d_"+name+")")
		tb := table(name, "id integer", "v ")
		tb.Columns[1].Type = c.from
		s := d.resumed(t, hard(name))
		for _, v := range c.kept {
			if err := apply(s, create(tb, "1", v)); err != nil {
				t.Errorf("%s to %s: %q: %v", c.from.Name, c.to, v, err)
			}
		}
		for _, v := range c.changed {
			d.exec(t, "BEGIN; INSERT INTO "+name+" VALUES (2, '"+v+"'); ROLLBACK") // no error
			wantError(t, apply(s, create(tb, "2", v)), `column "v"`, "id=2", "ALTER TABLE", "another value")
		}
		d.want(t, "SELECT count(*) FROM "+name+" WHERE id = 2", "0")
		_ = s.Close()
	}
}
