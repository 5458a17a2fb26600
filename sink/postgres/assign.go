package postgres

import (
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// families are types whose texts are read by each other's columns. A family's text is never read by a
// column of another, numbers by a boolean apart; types that are in none are left to the server and the
// value at hand.
var families = []struct {
	kinds []change.Kind
	types []string
}{
	{[]change.Kind{change.Bool}, []string{"boolean"}},
	{[]change.Kind{change.Int2, change.Int4, change.Int8, change.OID, change.Float4, change.Float8, change.Numeric},
		[]string{"smallint", "integer", "bigint", "oid", "real", "double precision", "numeric", "money", "boolean"}},
	{[]change.Kind{change.Date, change.Timestamp, change.TimestampTZ}, []string{"date", "timestamp without time zone", "timestamp with time zone"}},
	{[]change.Kind{change.Bytea}, []string{"bytea"}},
	{[]change.Kind{change.UUID}, []string{"uuid"}},
	{[]change.Kind{change.Interval}, []string{"interval"}},
	{[]change.Kind{change.JSON, change.JSONB}, []string{"json", "jsonb"}},
}

// assignable refuses a column that cannot hold any value of the type that is written to it.
func (t *target) assignable(i int) error {
	c, from := &t.cols[i], &t.table.Columns[i].Type
	for _, f := range families {
		if slices.Contains(f.kinds, from.Kind) && !slices.Contains(f.types, c.typ) && inFamily(c.typ) {
			return &sink.ColumnError{Table: t.table, Column: c.name, Err: refuse("make it a column of type "+from.Name+", or convert the value in columns of the table",
				"column %s is of type %s there and cannot take what is written to it, of type %s", c.quoted, c.typ, from.Name)}
		}
	}
	return nil
}

func inFamily(typ string) bool {
	for _, f := range families {
		if slices.Contains(f.types, typ) {
			return true
		}
	}
	return false
}
