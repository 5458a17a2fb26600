// Package deadletter is the topic {source}.sluice.dlq.{sink}: the changes that a sink has set aside, because its
// destination refuses them or because they follow one of the same row that it refuses. Each is in one record, with
// all that is needed to apply it later, in the shape that the source gave it. What people take out of the topic,
// and what was applied, is removed by tombstones; the topic is compacted.
//
// A record counts once the destination's checkpoint has passed its offset. What stands behind that was written for
// a batch that was not committed, and is written again when the batch is.
package deadletter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/sluicecdc/sluice/internal/change"
)

// Entry is a change that was set aside. Change.Table is the version of the table that it was made in.
type Entry struct {
	Change change.Change
	Note
}

// Note is what is told of an entry beside its change.
type Note struct {
	// Key is what people call the row by (AppendKey); for a table without key the change itself.
	Key string `json:"key"`
	// Linked is the other key of a key change: what is parked of both belongs together.
	Linked string `json:"linked_key,omitempty"`
	// Behind says that the change is here because an earlier one of its row is.
	Behind bool      `json:"behind,omitempty"`
	Class  string    `json:"class,omitempty"`
	Code   string    `json:"sqlstate,omitempty"`
	Error  string    `json:"error,omitempty"`
	Fix    string    `json:"fix,omitempty"`
	Parked time.Time `json:"parked_at"`
	// Of is how many changes the sink had to apply in the minute of commits that ends with it.
	Of int64 `json:"of"`
}

// New gives the entry of a change; its note has the keys.
func New(c *change.Change) Entry {
	e := Entry{Change: *c}
	if !Keyed(c) {
		e.Key = keyless(c)
		return e
	}
	key, other := AppendKeys(nil, nil, c)
	e.Key, e.Linked = string(key), string(other)
	return e
}

// ID names an entry in its topic.
func (e *Entry) ID() string { return IDOf(e.Change.Position(), e.Change.Table.QualifiedName()) }

// IDOf names the entry of a change of a table.
func IDOf(at change.Position, table string) string { return at.String() + " " + table }

// position is where a record's change stands, and its table.
type position struct {
	Table   string     `json:"table"`
	Commit  change.LSN `json:"commit_lsn"`
	Ordinal int64      `json:"ordinal"`
	Time    time.Time  `json:"commit_time"`
}

// record is the JSON of an entry.
type record struct {
	position
	Op string `json:"op"`
	Note
	Before    *rowText   `json:"before,omitempty"`
	Full      bool       `json:"before_full,omitempty"`
	After     *rowText   `json:"after,omitempty"`
	Other     *rowText   `json:"other,omitempty"`
	Unchanged []string   `json:"unchanged,omitempty"`
	LSN       change.LSN `json:"lsn"`
	Early     bool       `json:"early,omitempty"`
	Keep      change.LSN `json:"keep,omitempty"`
	// Shape is the version of the table.
	Shape json.RawMessage `json:"shape"`
}

// MarshalJSON writes values as PostgreSQL's texts, by the names of their columns.
func (e *Entry) MarshalJSON() ([]byte, error) {
	c := &e.Change
	shape, err := json.Marshal(c.Table)
	if err != nil {
		return nil, err
	}
	return json.Marshal(record{
		position: position{c.Table.QualifiedName(), c.Commit, c.Ordinal, time.UnixMicro(int64(c.Time)).UTC()},
		Op:       c.Op.String(), Note: e.Note,
		Before: textOf(c.Table, c.Before), Full: c.BeforeKind == change.BeforeFull, After: textOf(c.Table, c.After), Other: textOf(c.Table, c.OtherKey),
		Unchanged: unchanged(c), LSN: c.LSN, Early: c.Early, Keep: c.Keep, Shape: shape,
	})
}

func unchanged(c *change.Change) (names []string) {
	for i, v := range c.After {
		if v.Format == change.Unchanged {
			names = append(names, c.Table.Columns[i].Name)
		}
	}
	return names
}

// Decoder reads entries; those of one version of a table share it.
type Decoder struct{ shapes map[string]*change.Table }

// NewDecoder gives a decoder.
func NewDecoder() *Decoder { return &Decoder{map[string]*change.Table{}} }

// Entry reads the value of a record.
func (d *Decoder) Entry(value []byte) (e Entry, err error) {
	var r record
	if err = json.Unmarshal(value, &r); err != nil {
		return e, err
	}
	t, err := d.table(r.Shape)
	if err != nil {
		return e, err
	}
	if len(r.Op) != 1 || r.Key == "" {
		return e, errors.New("it is no change")
	}
	e.Note = r.Note
	c := &e.Change
	*c = change.Change{Op: change.Op(r.Op[0]), Table: t, Ordinal: r.Ordinal, LSN: r.LSN, Commit: r.Commit, Time: change.Micros(r.Time.UnixMicro()), Early: r.Early, Keep: r.Keep}
	if c.Before, err = r.Before.row(t, nil); err == nil {
		c.After, err = r.After.row(t, r.Unchanged)
	}
	if err == nil {
		c.OtherKey, err = r.Other.row(t, nil)
	}
	switch {
	case r.Full:
		c.BeforeKind = change.BeforeFull
	case c.Before != nil:
		c.BeforeKind = change.BeforeKey
	}
	return e, err
}

func (d *Decoder) table(shape []byte) (*change.Table, error) {
	if t := d.shapes[string(shape)]; t != nil {
		return t, nil
	}
	t := &change.Table{}
	if err := json.Unmarshal(shape, t); err != nil {
		return nil, fmt.Errorf("its table: %w", err)
	}
	for _, k := range t.Key {
		if k < 0 || k >= len(t.Columns) {
			return nil, errors.New("its table has a key without column")
		}
	}
	d.shapes[string(shape)] = t
	return t, nil
}

// rowText is a row as a JSON object in the order of its columns: text, or null. What is not known is left out.
type rowText struct {
	table *change.Table
	from  change.Row
	texts map[string]*string
}

func textOf(t *change.Table, row change.Row) *rowText {
	if row == nil {
		return nil
	}
	return &rowText{table: t, from: row}
}

// MarshalJSON implements json.Marshaler.
func (r *rowText) MarshalJSON() ([]byte, error) {
	b := bytes.NewBufferString("{")
	for i, v := range r.from {
		if v.Format != change.Text && v.Format != change.Null {
			continue
		}
		if !utf8.Valid(v.Data) {
			return nil, fmt.Errorf("column %s of %s holds bytes that are no text", r.table.Columns[i].Name, r.table.QualifiedName())
		}
		var text any
		if v.Format == change.Text {
			text = string(v.Data)
		}
		name, err := json.Marshal(r.table.Columns[i].Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(text)
		if err != nil {
			return nil, err
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *rowText) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &r.texts) }

// row gives the row of a table, nil for none.
func (r *rowText) row(t *change.Table, unchanged []string) (change.Row, error) {
	if r == nil {
		return nil, nil
	}
	row := make(change.Row, len(t.Columns))
	for i := range t.Columns {
		text, there := r.texts[t.Columns[i].Name]
		switch {
		case text != nil:
			row[i] = change.Value{Format: change.Text, Data: []byte(*text)}
		case there:
			row[i].Format = change.Null
		}
	}
	for _, name := range unchanged {
		for i := range t.Columns {
			if t.Columns[i].Name == name {
				row[i].Format = change.Unchanged
			}
		}
	}
	return row, nil
}
