package avro

import (
	"errors"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

var (
	errKeySpecial   = errors.New("the column is part of the key and holds a value that its Avro type cannot hold, and a key has no place beside it for one: change the value, or give the table a REPLICA IDENTITY without this column")
	errKeyNull      = errors.New("the column is part of the key and is NULL")
	errKeyUnchanged = errors.New("the column is part of the key and its value did not travel in the log")
	errKeyAbsent    = errors.New("the column is part of the key and the row does not hold it")
	errAbsent       = errors.New("the row does not hold the column")
)

// column is one column's part of an encoder.
type column struct {
	codec    *codec
	name     string // in Avro
	nullable bool
}

// oldPrefix stands before the names of the old row's columns in "special" and "unchanged".
const oldPrefix = "before."

// aside gathers what goes beside a record's rows.
type aside struct {
	unchanged []mark
	special   []mark
	text      []byte // of the special values, one after the other
}

// mark names a column of one of the rows, and for a special value where its text ends.
type mark struct {
	column, end int
	old         bool
}

func (a *aside) reset() {
	a.unchanged, a.special, a.text = a.unchanged[:0], a.special[:0], a.text[:0]
}

// appendRow writes a row as the record Value. keyOnly says that the row holds the key's columns
// only: all others are null.
func (e *Encoder) appendRow(dst []byte, row change.Row, old, keyOnly bool) ([]byte, error) {
	if len(row) != len(e.columns) {
		return dst, fmt.Errorf("cannot encode a row of table %s: it has %d values for %d columns", e.table.QualifiedName(), len(row), len(e.columns))
	}
	for i := range e.columns {
		c, v := &e.columns[i], &row[i]
		if c.nullable && (keyOnly || v.Format == change.Null) {
			dst = append(dst, branchNull)
			continue
		}
		start := len(dst)
		var err error
		if c.nullable {
			dst = append(dst, branchValue)
		}
		switch v.Format {
		case change.Binary:
			dst, err = c.codec.binary(c.codec, dst, v.Data)
		case change.Text:
			dst, err = c.codec.text(c.codec, dst, v.Data)
		default:
			err = errNoValue
		}
		if err != nil {
			if dst, err = e.appendNull(dst[:start], i, v, old, err); err != nil {
				return dst, e.valueError(i, row, err)
			}
		}
	}
	return dst, nil
}

// errNoValue says that a value has no bytes: its format tells why.
var errNoValue = errors.New("no value")

// appendNull writes null for a value that has no Avro form, and notes why.
func (e *Encoder) appendNull(dst []byte, i int, v *change.Value, old bool, cause error) ([]byte, error) {
	c := &e.columns[i]
	if !c.nullable {
		return dst, keyError(v, cause)
	}
	switch {
	case v.Format == change.Unchanged:
		e.aside.unchanged = append(e.aside.unchanged, mark{column: i, old: old})
	case errors.Is(cause, errSpecial):
		if err := e.noteSpecial(i, v, old); err != nil {
			return dst, err
		}
	case errors.Is(cause, errNoValue):
		return dst, errAbsent
	default:
		return dst, cause
	}
	return append(dst, branchNull), nil
}

func (e *Encoder) noteSpecial(i int, v *change.Value, old bool) error {
	c := e.columns[i].codec
	var err error
	if v.Format == change.Binary {
		e.aside.text, err = c.special(c, e.aside.text, v.Data)
	} else {
		e.aside.text = append(e.aside.text, v.Data...)
	}
	e.aside.special = append(e.aside.special, mark{column: i, old: old, end: len(e.aside.text)})
	return err
}

func keyError(v *change.Value, cause error) error {
	switch {
	case v.Format == change.Null:
		return errKeyNull
	case v.Format == change.Unchanged:
		return errKeyUnchanged
	case errors.Is(cause, errNoValue):
		return errKeyAbsent
	case errors.Is(cause, errSpecial):
		return errKeySpecial
	}
	return cause
}

// appendAside writes the fields unchanged and special.
func (e *Encoder) appendAside(dst []byte) []byte {
	a := &e.aside
	if len(a.unchanged) == 0 {
		dst = append(dst, branchNull)
	} else {
		dst = appendLong(append(dst, branchValue), int64(len(a.unchanged)))
		for _, m := range a.unchanged {
			dst = e.appendName(dst, m)
		}
		dst = append(dst, 0)
	}
	if len(a.special) == 0 {
		return append(dst, branchNull)
	}
	dst = appendLong(append(dst, branchValue), int64(len(a.special)))
	start := 0
	for _, m := range a.special {
		dst = appendBytes(e.appendName(dst, m), a.text[start:m.end])
		start = m.end
	}
	return append(dst, 0)
}

func (e *Encoder) appendName(dst []byte, m mark) []byte {
	name := e.columns[m.column].name
	if !m.old {
		return appendString(dst, name)
	}
	dst = appendLong(dst, int64(len(oldPrefix)+len(name)))
	return append(append(dst, oldPrefix...), name...)
}
