package avro

import (
	"fmt"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// ValueError is a value that cannot be written. Nothing of its change was; sending it again gives
// the same error.
type ValueError struct {
	Table  string // schema.table
	Column string
	Key    string // of the row, as column=value, …
	Err    error
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("cannot encode column %s of table %s, row with key (%s): %v; the change was not published and nothing is skipped",
		e.Column, e.Table, e.Key, e.Err)
}

func (e *ValueError) Unwrap() error { return e.Err }

// maxKeyText bounds how much of a key's value an error shows, in bytes.
const maxKeyText = 200

func (e *Encoder) valueError(column int, row change.Row, err error) error {
	return &ValueError{
		Table:  e.table.QualifiedName(),
		Column: e.table.Columns[column].Name,
		Key:    e.describeKey(row),
		Err:    err,
	}
}

func (e *Encoder) describeKey(row change.Row) string {
	parts := make([]string, 0, len(e.table.Key))
	for _, k := range e.table.Key {
		text := "?"
		if k < len(row) {
			text = e.columns[k].describe(row[k])
		}
		parts = append(parts, e.table.Columns[k].Name+"="+text)
	}
	return strings.Join(parts, ", ")
}

func (c *column) describe(v change.Value) string {
	text := v.Data
	switch v.Format {
	case change.Null:
		return "NULL"
	case change.Binary:
		var err error
		if text, err = c.codec.textOfBinary(nil, v.Data); err != nil {
			return "?"
		}
	case change.Text:
	default:
		return "?"
	}
	if len(text) > maxKeyText {
		return string(text[:maxKeyText]) + "…"
	}
	return string(text)
}
