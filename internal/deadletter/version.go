package deadletter

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// Same tells whether two versions of a table are one.
func Same(a, b *change.Table) bool {
	if a == b {
		return true
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// SameKey tells whether rows of two versions of a table are called by the same.
func SameKey(a, b *change.Table) bool { return slices.Equal(keyNames(a), keyNames(b)) }

func keyNames(t *change.Table) (names []string) {
	for _, k := range t.Key {
		names = append(names, t.Columns[k].Name)
	}
	return names
}

// In gives a change in a later version of its table, as the destination has it by now. A column that is new gets
// what rows had that were there before it. The error says why nobody knows what the row would be.
func In(c *change.Change, to *change.Table) (change.Change, error) {
	out := *c
	if Same(c.Table, to) {
		out.Table = to
		return out, nil
	}
	from, err := columnsFrom(c, to)
	if err != nil {
		return out, err
	}
	out.Table = to
	out.Before = moved(c.Before, to, from, c.BeforeKind == change.BeforeFull)
	out.After = moved(c.After, to, from, true)
	out.OtherKey = moved(c.OtherKey, to, from, false)
	return out, nil
}

// columnsFrom gives for each column of the later version the one that it was, -1 for a new one.
func columnsFrom(c *change.Change, to *change.Table) ([]int, error) {
	from := make([]int, len(to.Columns))
	rowCounts := c.Op != change.Delete || len(to.Key) == 0
	for i := range to.Columns {
		is := &to.Columns[i]
		from[i] = slices.IndexFunc(c.Table.Columns, func(was change.Column) bool { return sameColumn(&was, is, c.Table.OID == to.OID) })
		switch {
		case !rowCounts:
		case is.Untold > c.Commit:
			return nil, fmt.Errorf("column %s of %s has got values since that no record says", is.Name, to.QualifiedName())
		case from[i] >= 0 && !carries(&c.Table.Columns[from[i]].Type, &is.Type):
			return nil, fmt.Errorf("column %s of %s has become %s since, from %s: what its values are now no record says",
				is.Name, to.QualifiedName(), is.Type.Name, c.Table.Columns[from[i]].Type.Name)
		}
	}
	return from, nil
}

func sameColumn(was, is *change.Column, oneTable bool) bool {
	if oneTable && was.Attnum != 0 && is.Attnum != 0 {
		return was.Attnum == is.Attnum
	}
	return was.Name == is.Name
}

// integers are kinds of which each takes the texts of those before it.
var integers = []change.Kind{change.Int2, change.Int4, change.Int8, change.Numeric}

// carries tells whether the text of a value stays when its column becomes of another type.
func carries(from, to *change.Type) bool {
	a, b := slices.Index(integers, from.Kind), slices.Index(integers, to.Kind)
	return from.Name == to.Name || from.Kind == to.Kind && from.Kind != change.Opaque || a >= 0 && b > a
}

func moved(row change.Row, to *change.Table, from []int, whole bool) change.Row {
	if row == nil {
		return nil
	}
	out := make(change.Row, len(from))
	for i, k := range from {
		missing := to.Columns[i].Missing
		switch {
		case k >= 0:
			out[i] = row[k]
		case !whole:
		case missing == nil:
			out[i].Format = change.Null
		default:
			out[i] = change.Value{Format: change.Text, Data: []byte(*missing)}
		}
	}
	return out
}
