package avro

import (
	"fmt"

	"github.com/sluicecdc/sluice/schemas"
)

// unchangedStep gathers the names of columns that did not travel.
func (d *Decoder) unchangedStep(n *schemas.Node) (step, error) {
	o, err := newOptional(n)
	if err != nil {
		return nil, err
	}
	if o.value.Type != "array" || o.value.Items.Type != "string" {
		return nil, fmt.Errorf("it is not a list of strings")
	}
	return func(r *reader, _ *Record) {
		if !o.present(r) {
			return
		}
		for n := r.count(); n > 0; n = r.count() {
			for ; n > 0 && r.err == nil; n-- {
				d.unchanged = append(d.unchanged, r.bytes())
			}
		}
	}, nil
}

// specialStep gathers the texts of values that their Avro types cannot hold.
func (d *Decoder) specialStep(n *schemas.Node) (step, error) {
	o, err := newOptional(n)
	if err != nil {
		return nil, err
	}
	if o.value.Type != "map" || o.value.Items.Type != "string" {
		return nil, fmt.Errorf("it is not a map of strings")
	}
	return func(r *reader, _ *Record) {
		if !o.present(r) {
			return
		}
		for n := r.count(); n > 0; n = r.count() {
			for ; n > 0 && r.err == nil; n-- {
				d.special = append(d.special, [2][]byte{r.bytes(), r.bytes()})
			}
		}
	}, nil
}
