package schemas

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// Adopt gives t with the field names that the newest schema of its topic has for the same columns, so
// that a name once given stays.
func Adopt(t *change.Table, latest string) (*change.Table, error) {
	before, err := Parse(latest)
	if err != nil {
		return nil, err
	}
	rows, err := rowsOf(before, t)
	if err != nil {
		return nil, err
	}
	out := copyOf(t)
	for i := range out.Columns {
		c := &out.Columns[i]
		for k := range rows.before {
			if f := &rows.before[k]; columnName(f) == c.Name && reflect.DeepEqual(f.Type, rows.next[i].Type) {
				c.Field = f.Name
			}
		}
	}
	return out, nil
}

// Evade gives t with other field names for the columns whose values an older schema cannot be made to
// fit: an added and a dropped field are compatible at every level, a field of another type is not. A
// name that the newest schema has for another type gets a number behind it; without such a name, it is
// the columns that are not in the newest schema that meet one of an older. It gives nil when there is
// nothing to rename.
func Evade(t *change.Table, latest string) (*change.Table, error) {
	before, err := Parse(latest)
	if err != nil {
		return nil, err
	}
	rows, err := rowsOf(before, t)
	if err != nil {
		return nil, err
	}
	names, err := FieldNames(t)
	if err != nil {
		return nil, err
	}
	var other, added []int
	for i, name := range names {
		k := slices.IndexFunc(rows.before, func(f Field) bool { return f.Name == name })
		switch {
		case k < 0:
			added = append(added, i)
		case !reflect.DeepEqual(rows.before[k].Type, rows.next[i].Type):
			other = append(other, i)
		}
	}
	if len(other) == 0 {
		other = added
	}
	if len(other) == 0 {
		return nil, nil
	}
	out := copyOf(t)
	for _, i := range other {
		taken := func(name string) bool {
			return slices.Contains(names, name) || slices.ContainsFunc(rows.before, func(f Field) bool { return f.Name == name })
		}
		names[i] = numberedName(&t.Columns[i], taken)
		out.Columns[i].Field = names[i]
	}
	return out, nil
}

// numberedName gives the next free name of a column, from _2 on.
func numberedName(c *change.Column, taken func(string) bool) string {
	base := FieldName(c.Name)
	n := 2
	if _, err := fmt.Sscanf(c.Field, base+"_%d", &n); err == nil {
		n++
	}
	for taken(fmt.Sprintf("%s_%d", base, n)) {
		n++
	}
	return fmt.Sprintf("%s_%d", base, n)
}

func copyOf(t *change.Table) *change.Table {
	out := *t
	out.Columns = slices.Clone(t.Columns)
	return &out
}

// rowFields are the fields of rows in the newest schema, and those of t's columns in order.
type rowFields struct{ before, next []Field }

func rowsOf(before *Node, t *change.Table) (f rowFields, err error) {
	if r := Row(before); r != nil {
		f.before = r.Fields
	}
	names, err := FieldNames(t)
	if err != nil {
		return f, err
	}
	own, err := Parse(text(envelope("t", t, names)))
	if err == nil {
		f.next = Row(own).Fields
	}
	return f, err
}
