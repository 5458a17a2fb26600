package avro

import (
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

func (d *Decoder) rowStep(f *schemas.Field) (step, error) {
	o, err := newOptional(f.Type)
	if err != nil {
		return nil, err
	}
	if len(o.value.Fields) != len(d.table.Columns) {
		return nil, fmt.Errorf("before and after have different columns")
	}
	fields := make([]valueField, len(o.value.Fields))
	d.names = d.names[:0]
	for i := range fields {
		column := &o.value.Fields[i]
		if fields[i], err = newValueField(column.Type, d.table.Columns[i].Type); err != nil {
			return nil, fmt.Errorf("column %s: %w", column.Name, err)
		}
		d.names = append(d.names, column.Name)
	}
	if f.Name == "before" {
		return d.oldRow(o, fields), nil
	}
	return d.newRow(o, fields), nil
}

func (d *Decoder) oldRow(o optional, fields []valueField) step {
	return func(r *reader, rec *Record) {
		if d.hasOld = o.present(r); d.hasOld {
			rec.Change.Before = d.row(r, rec.Change.Before, fields)
		}
	}
}

func (d *Decoder) newRow(o optional, fields []valueField) step {
	return func(r *reader, rec *Record) {
		if d.hasNew = o.present(r); d.hasNew {
			rec.Change.After = d.row(r, rec.Change.After, fields)
		}
	}
}

func (d *Decoder) row(r *reader, row change.Row, fields []valueField) change.Row {
	row = row[:0]
	for i := range fields {
		row = append(row, d.value(r, fields[i]))
		if r.err != nil {
			break
		}
	}
	return row
}
