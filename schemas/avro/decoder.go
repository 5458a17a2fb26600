package avro

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// Record is a decoded envelope. Rows are in change.Text format, Absent where the envelope cannot say.
type Record struct {
	Change   change.Change
	Position change.Position
	Group    string // transaction.id
	Snapshot bool
	Time     change.Micros // commit time
}

// Decoder reads the records of one pair of writer schemas. Not for concurrent use.
type Decoder struct {
	table    *change.Table
	names    []string // of the columns in Avro
	envelope []step
	key      []keyField

	reader    reader
	arena     []byte
	unchanged [][]byte // views of the record in hand
	special   [][2][]byte
	hasOld    bool
	hasNew    bool
}

// step reads one field of a record.
type step func(r *reader, rec *Record)

// keyField says which column a field of the key is.
type keyField struct {
	column int
	field  valueField
}

// NewDecoder compiles a decoder from the schemas as registered; key may be empty. Fields may stand
// in any order, and those that are not known are passed over.
func NewDecoder(key, value string) (*Decoder, error) {
	n, err := schemas.Parse(value)
	if err != nil {
		return nil, err
	}
	d := &Decoder{}
	if isMessage := n.Field("message") != nil && schemas.Row(n) == nil; !isMessage {
		if d.table, err = schemas.ParseTable(schemas.Pair{Key: key, Value: value}); err != nil {
			return nil, err
		}
		if err := d.compileKey(key); err != nil {
			return nil, fmt.Errorf("cannot decode keys of table %s: %w", d.table.QualifiedName(), err)
		}
	}
	if err := d.compileEnvelope(n); err != nil {
		return nil, fmt.Errorf("cannot decode records of schema %s: %w", n.Name, err)
	}
	return d, nil
}

// Table is what the schemas say of the table; nil for the topic of logical messages.
func (d *Decoder) Table() *change.Table { return d.table }

func (d *Decoder) compileKey(key string) error {
	if key == "" {
		return nil
	}
	n, err := schemas.Parse(key)
	if err != nil {
		return err
	}
	for i, f := range n.Fields {
		column := d.table.Key[i] // ParseTable went through the same fields
		v, err := newValueField(f.Type, d.table.Columns[column].Type)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		d.key = append(d.key, keyField{column, v})
	}
	return nil
}

// Envelope decodes an unframed value into r. Bytes of values are appended to *arena and stay valid as
// long as it; rows of r are reused when their capacity allows.
func (d *Decoder) Envelope(b []byte, rec *Record, arena *[]byte) error {
	d.arena, d.hasOld, d.hasNew = *arena, false, false
	d.unchanged, d.special = d.unchanged[:0], d.special[:0]
	rec.reset(d.table)
	d.reader = reader{b: b}
	r := &d.reader
	for _, s := range d.envelope {
		s(r, rec)
		if r.err != nil {
			break
		}
	}
	err := r.end()
	if err == nil {
		err = d.finish(rec)
	}
	*arena, d.arena = d.arena, nil
	if err != nil {
		return fmt.Errorf("cannot decode a record%s: %w", d.ofTable(), err)
	}
	return nil
}

func (rec *Record) reset(t *change.Table) {
	before, after := rec.Change.Before[:0], rec.Change.After[:0]
	*rec = Record{Group: rec.Group}
	rec.Change = change.Change{Table: t, Before: before, After: after}
}

func (d *Decoder) ofTable() string {
	if d.table == nil {
		return ""
	}
	return " of table " + d.table.QualifiedName()
}

var (
	errOp   = errors.New("the field op is not one of c, u, d, r, t, m")
	errName = errors.New("special or unchanged names a column that the rows do not have")
)

// finish puts together what the fields said one by one.
func (d *Decoder) finish(rec *Record) error {
	rec.Position.Ordinal = rec.Change.Ordinal
	if !slices.Contains([]change.Op{'c', 'u', 'd', 'r', 't', 'm'}, rec.Change.Op) {
		return errOp
	}
	if d.hasOld {
		d.narrow(rec)
	}
	for _, name := range d.unchanged {
		if !d.set(rec, name, change.Value{Format: change.Unchanged}) {
			return errName
		}
	}
	for _, s := range d.special {
		if !d.set(rec, s[0], change.Value{Format: change.Text, Data: d.copy(s[1])}) {
			return errName
		}
	}
	return nil
}

// narrow says how much of the old row there is: all of it with REPLICA IDENTITY FULL, else the key.
func (d *Decoder) narrow(rec *Record) {
	if d.table.Identity == change.IdentityFull {
		rec.Change.BeforeKind = change.BeforeFull
		return
	}
	rec.Change.BeforeKind = change.BeforeKey
	for i := range rec.Change.Before {
		if !d.table.IsKey(i) {
			rec.Change.Before[i] = change.Value{}
		}
	}
}

func (d *Decoder) set(rec *Record, name []byte, v change.Value) bool {
	row := rec.Change.After
	if len(name) > len(oldPrefix) && string(name[:len(oldPrefix)]) == oldPrefix {
		name, row = name[len(oldPrefix):], rec.Change.Before
	}
	for i, n := range d.names {
		if n == string(name) && i < len(row) {
			row[i] = v
			return true
		}
	}
	return false
}

// Key decodes an unframed key into row (one value a column, Absent outside the key).
func (d *Decoder) Key(b []byte, row change.Row, arena *[]byte) (change.Row, error) {
	if len(d.key) == 0 {
		return row[:0], fmt.Errorf("cannot decode a key%s: its schemas have none", d.ofTable())
	}
	row = row[:0]
	for range d.table.Columns {
		row = append(row, change.Value{})
	}
	d.arena = *arena
	d.reader = reader{b: b}
	r := &d.reader
	for _, k := range d.key {
		row[k.column] = d.value(r, k.field)
	}
	*arena, d.arena = d.arena, nil
	if err := r.end(); err != nil {
		return row, fmt.Errorf("cannot decode a key%s: %w", d.ofTable(), err)
	}
	return row, nil
}
