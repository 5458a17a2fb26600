package avro

import (
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// Options say what an encoder writes beside the row.
type Options struct {
	Source   string // source.name of the configuration
	Database string
	Version  string // of sluice
	Topic    string
	Table    *change.Table
	KeyID    int // registry ids of the schemas
	ValueID  int
}

// Encoder writes the records of one table version, as schemas.ForTable describes them. Not for
// concurrent use. An error leaves dst's bytes as they were and says which value of which row it is;
// see ValueError.
type Encoder struct {
	table      *change.Table
	columns    []column
	block      block
	aside      aside
	keyFrame   []byte
	valueFrame []byte
}

// NewEncoder compiles an encoder. A type or a name that cannot be written is an error now, not at
// the first row.
func NewEncoder(o Options) (*Encoder, error) {
	t := o.Table
	names, err := schemas.FieldNames(t)
	if err != nil {
		return nil, err
	}
	e := &Encoder{
		table:      t,
		columns:    make([]column, len(names)),
		block:      newBlock(&o, t.Schema, t.Name),
		keyFrame:   AppendFrame(nil, o.KeyID),
		valueFrame: AppendFrame(nil, o.ValueID),
	}
	for i, name := range names {
		c, err := newCodec(t.Columns[i].Type)
		if err != nil {
			return nil, fmt.Errorf("cannot encode column %s of table %s: %w", t.Columns[i].Name, t.QualifiedName(), err)
		}
		e.columns[i] = column{codec: c, name: name, nullable: !t.IsKey(i)}
	}
	return e, nil
}

// Key appends the framed key of the row's key columns, and nothing for a table without key, whose
// records have a null key.
func (e *Encoder) Key(dst []byte, row change.Row) ([]byte, error) {
	if len(e.table.Key) == 0 {
		return dst, nil
	}
	start := len(dst)
	dst = append(dst, e.keyFrame...)
	for _, k := range e.table.Key {
		if k >= len(row) {
			return dst[:start], e.valueError(k, row, errKeyAbsent)
		}
		var err error
		c, v := e.columns[k].codec, &row[k]
		switch v.Format {
		case change.Binary:
			dst, err = c.binary(c, dst, v.Data)
		case change.Text:
			dst, err = c.text(c, dst, v.Data)
		default:
			err = errNoValue
		}
		if err != nil {
			return dst[:start], e.valueError(k, row, keyError(v, err))
		}
	}
	return dst, nil
}

// Envelope appends the framed envelope of c, whose Op is one of a table. now is when we handle it.
// An old row that holds its key only (BeforeKey) has null elsewhere.
func (e *Encoder) Envelope(dst []byte, g *change.Group, c *change.Change, o Order, now change.Micros) ([]byte, error) {
	start := len(dst)
	e.aside.reset()
	e.block.prime(g)
	dst, err := e.appendRows(append(dst, e.valueFrame...), c)
	if err != nil {
		return dst[:start], err
	}
	dst = e.block.appendSource(dst, c)
	dst = e.block.appendTransaction(dst, o)
	dst = append(dst, 1<<1, byte(c.Op))
	dst = e.block.appendTimes(dst, now)
	return e.appendAside(dst), nil
}

// appendRows writes before and after: which of them there are is the operation's to say.
func (e *Encoder) appendRows(dst []byte, c *change.Change) (_ []byte, err error) {
	hasOld := (c.Op == change.Update || c.Op == change.Delete) && c.BeforeKind != change.BeforeNone
	hasNew := c.Op == change.Create || c.Op == change.Read || c.Op == change.Update
	if hasOld && c.BeforeKind == change.BeforeKey && e.table.Identity == change.IdentityFull {
		return dst, fmt.Errorf("cannot encode a change of table %s: its old row holds the key only, though REPLICA IDENTITY is FULL; a reader would take the rest for NULL", e.table.QualifiedName())
	}
	if !hasOld {
		dst = append(dst, branchNull)
	} else if dst, err = e.appendRow(append(dst, branchValue), c.Before, true, c.BeforeKind == change.BeforeKey); err != nil {
		return dst, err
	}
	if !hasNew {
		return append(dst, branchNull), nil
	}
	return e.appendRow(append(dst, branchValue), c.After, false, false)
}
