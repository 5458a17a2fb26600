package postgres

import (
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// known tells whether a value is in the row, NULL included.
func known(v change.Value) bool { return v.Format == change.Null || v.Format == change.Text }

// unknown tells whether a column that is written has no value in the row.
func (t *target) unknown(row change.Row) bool {
	for i := range t.cols {
		if !known(row[i]) {
			return true
		}
	}
	return false
}

// fill gives row with its unknown values taken from old, where old has them. row itself is not
// written to: it is its producer's.
func fill(row, old change.Row) change.Row {
	if old == nil {
		return row
	}
	out := row
	for i, v := range row {
		if known(v) || !known(old[i]) {
			continue
		}
		if &out[0] == &row[0] {
			out = append(change.Row(nil), row...)
		}
		out[i] = old[i]
	}
	return out
}

// appendKey appends the key's values. A zero byte ends each: no text of PostgreSQL holds one.
func (t *target) appendKey(dst []byte, row change.Row) []byte {
	for n, k := range t.key {
		if n > 0 {
			dst = append(dst, 0)
		}
		dst = append(dst, row[k].Data...)
	}
	return dst
}

// shown names a row for people: its key, or the start of its values when it has none.
func (t *target) shown(row change.Row) string {
	cols := t.key
	if len(cols) == 0 {
		for i := range t.cols {
			cols = append(cols, i)
		}
	}
	return list(cols, ", ", func(_ int, k int) string {
		v := row[k]
		if v.Format != change.Text {
			return t.cols[k].name + "=NULL"
		}
		return t.cols[k].name + "=" + short(string(v.Data))
	})
}

func short(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}

// checkNew refuses a row to write that cannot be one, or that the destination's columns would change.
func (t *target) checkNew(row change.Row) error {
	if err := t.check(row, "the row"); err != nil {
		return err
	}
	return t.fits(row)
}

// check refuses rows that cannot be what the contract says, before anything is indexed by them.
func (t *target) check(row change.Row, what string) error {
	if len(row) != len(t.table.Columns) {
		return refuse("", "%s of %s has %d values for %d columns", what, t.table.QualifiedName(), len(row), len(t.table.Columns))
	}
	for i, c := range t.cols {
		if row[i].Format == change.Binary {
			return refuse("", "column %s of %s is in binary form", c.name, t.table.QualifiedName())
		}
	}
	for _, k := range t.key {
		if row[k].Format != change.Text {
			return refuse("", "%s of %s has no value of key column %s", what, t.table.QualifiedName(), t.cols[k].name)
		}
	}
	return nil
}
