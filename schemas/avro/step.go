package avro

import (
	"fmt"

	"github.com/sluicecdc/sluice/schemas"
)

// skipStep passes over a field. The types of our own fields have short ways.
func skipStep(n *schemas.Node) step {
	if o, err := newOptional(n); err == nil {
		switch o.value.Type {
		case "int", "long":
			return func(r *reader, _ *Record) {
				if o.present(r) {
					r.long()
				}
			}
		case "string", "bytes":
			return func(r *reader, _ *Record) {
				if o.present(r) {
					r.bytes()
				}
			}
		}
	}
	return func(r *reader, _ *Record) { r.skip(n, 0) }
}

func longStep(n *schemas.Node, set func(*Record, int64)) (step, error) {
	o, err := newOptional(n)
	if err != nil {
		return nil, err
	}
	if o.value.Type != "long" && o.value.Type != "int" {
		return nil, fmt.Errorf("its type is %s where long is wanted", o.value.Type)
	}
	return func(r *reader, rec *Record) {
		if o.present(r) {
			set(rec, r.long())
		}
	}, nil
}

func bytesStep(n *schemas.Node, set func(*Record, []byte)) (step, error) {
	o, err := newOptional(n)
	if err != nil {
		return nil, err
	}
	if o.value.Type != "string" && o.value.Type != "bytes" {
		return nil, fmt.Errorf("its type is %s where string is wanted", o.value.Type)
	}
	return func(r *reader, rec *Record) {
		if o.present(r) {
			set(rec, r.bytes())
		}
	}, nil
}

// recordStep reads a nested record, field by field.
func recordStep(n *schemas.Node, compile func(*schemas.Field) (step, error)) (step, error) {
	o, err := newOptional(n)
	if err != nil {
		return nil, err
	}
	if o.value.Type != "record" {
		return nil, fmt.Errorf("its type is %s where a record is wanted", o.value.Type)
	}
	steps := make([]step, len(o.value.Fields))
	for i := range steps {
		if steps[i], err = compile(&o.value.Fields[i]); err != nil {
			return nil, fmt.Errorf("field %s: %w", o.value.Fields[i].Name, err)
		}
	}
	return func(r *reader, rec *Record) {
		if !o.present(r) {
			return
		}
		for _, s := range steps {
			s(r, rec)
		}
	}, nil
}
