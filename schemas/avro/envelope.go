package avro

import (
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// optional is a field that may be a union of null and one type, in either order.
type optional struct {
	null  int64 // the branch of null, -1 when the field is no union
	value *schemas.Node
}

func newOptional(n *schemas.Node) (optional, error) {
	if n.Type != "union" {
		return optional{-1, n}, nil
	}
	if len(n.Branches) == 2 {
		for i, b := range n.Branches {
			if b.Type == "null" {
				return optional{int64(i), n.Branches[1-i]}, nil
			}
		}
	}
	return optional{}, fmt.Errorf("a union that is not null and one type")
}

// present reads which branch follows.
func (o optional) present(r *reader) bool {
	if o.null < 0 {
		return true
	}
	i := r.long()
	if i != 0 && i != 1 {
		r.fail(errBranch)
	}
	return r.err == nil && i != o.null
}

// valueField is a column's field.
type valueField struct {
	optional
	codec *codec
}

func newValueField(n *schemas.Node, t change.Type) (valueField, error) {
	o, err := newOptional(n)
	if err != nil {
		return valueField{}, err
	}
	c, err := printer(o.value, t)
	return valueField{o, c}, err
}

// value reads one column's value; its text is appended to the arena.
func (d *Decoder) value(r *reader, f valueField) change.Value {
	if !f.present(r) {
		return change.Value{Format: change.Null}
	}
	start := len(d.arena)
	d.arena = f.codec.print(f.codec, d.arena, r)
	end := len(d.arena)
	return change.Value{Format: change.Text, Data: d.arena[start:end:end]}
}

// copy gives b from the arena.
func (d *Decoder) copy(b []byte) []byte {
	start := len(d.arena)
	d.arena = append(d.arena, b...)
	return d.arena[start:len(d.arena):len(d.arena)]
}

func (d *Decoder) compileEnvelope(n *schemas.Node) error {
	if n.Type != "record" {
		return fmt.Errorf("it is no record")
	}
	for i := range n.Fields {
		f := &n.Fields[i]
		s, err := d.step(f)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		d.envelope = append(d.envelope, s)
	}
	return nil
}

// step compiles a field of the envelope.
func (d *Decoder) step(f *schemas.Field) (step, error) {
	switch f.Name {
	case "before", "after":
		if d.table == nil {
			return skipStep(f.Type), nil
		}
		return d.rowStep(f)
	case "source":
		return recordStep(f.Type, sourceStep)
	case "transaction":
		return recordStep(f.Type, transactionStep)
	case "message":
		return recordStep(f.Type, d.messageStep)
	case "op":
		return bytesStep(f.Type, func(rec *Record, b []byte) {
			if len(b) == 1 {
				rec.Change.Op = change.Op(b[0])
			}
		})
	case "unchanged":
		return d.unchangedStep(f.Type)
	case "special":
		return d.specialStep(f.Type)
	}
	return skipStep(f.Type), nil
}

func sourceStep(f *schemas.Field) (step, error) {
	switch f.Name {
	case "ts_us":
		return longStep(f.Type, func(rec *Record, v int64) { rec.Time = change.Micros(v) })
	case "lsn":
		return longStep(f.Type, func(rec *Record, v int64) { rec.Change.LSN = change.LSN(v) })
	case "commit_lsn":
		return longStep(f.Type, func(rec *Record, v int64) { rec.Position.Commit = change.LSN(v) })
	case "ordinal":
		return longStep(f.Type, func(rec *Record, v int64) { rec.Change.Ordinal = v })
	case "snapshot":
		return bytesStep(f.Type, func(rec *Record, b []byte) { rec.Snapshot = string(b) == snapshotTrue })
	}
	return skipStep(f.Type), nil
}

func transactionStep(f *schemas.Field) (step, error) {
	if f.Name == "id" {
		return bytesStep(f.Type, func(rec *Record, b []byte) { rec.Group = keep(rec.Group, b) })
	}
	return skipStep(f.Type), nil
}

func (d *Decoder) messageStep(f *schemas.Field) (step, error) {
	switch f.Name {
	case "prefix":
		return bytesStep(f.Type, func(rec *Record, b []byte) { rec.Change.Prefix = string(b) })
	case "content":
		return bytesStep(f.Type, func(rec *Record, b []byte) { rec.Change.Content = d.copy(b) })
	}
	return skipStep(f.Type), nil
}
