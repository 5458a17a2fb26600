package snapshot

import "strings"

// Bound is a place in the order of a table's keys: the text of each key column's value. nil is open.
type Bound []string

// Range is the keys k of a table with After < k <= UpTo.
type Range struct {
	After Bound `json:"after"`
	UpTo  Bound `json:"upto"`
}

// conditions gives the range, and the table's own predicate, in SQL.
func (t Table) conditions(r Range) (out []string) {
	if r.After != nil {
		out = append(out, "("+t.keyColumns()+") > "+t.row(r.After))
	}
	if r.UpTo != nil {
		out = append(out, "("+t.keyColumns()+") <= "+t.row(r.UpTo))
	}
	if t.Where != "" {
		out = append(out, "("+t.Where+")")
	}
	return out
}

// row writes a bound as a row of constants.
func (t Table) row(b Bound) string {
	values := make([]string, len(b))
	for n, i := range t.Key {
		values[n] = literal(b[n]) + "::" + t.Columns[i].Type.Name
	}
	return "(" + strings.Join(values, ", ") + ")"
}
