package transform

import (
	"cel.dev/cel-go/common/types"

	"github.com/sluicecdc/sluice/internal/change"
)

// compute makes a cell of an expression.
func compute(name string, e Expression, t *change.Table) (cell, error) {
	p, err := compileValue(e, t)
	if err != nil {
		return cell{}, err
	}
	out := cell{column: change.Column{Name: name, Type: p.out}, source: -1, program: p}
	for _, i := range p.inputs {
		out.column.Untold = max(out.column.Untold, t.Columns[i].Untold)
	}
	if len(p.inputs) > 0 {
		return out, nil
	}
	// What looks at no column is a constant.
	v, err := p.eval(make(change.Row, len(t.Columns)))
	if err != nil {
		return cell{}, e.fault(1, 0, "cannot be evaluated: %v", err)
	}
	out.program, out.constant = nil, write(v)
	return out, nil
}

// constant makes a cell of a value that was written as such.
func constant(name string, v change.Value, t change.Type) cell {
	return cell{column: change.Column{Name: name, Type: t}, source: -1, constant: v}
}

// value evaluates the expression over a row. Of a row without the inputs (an old key) nothing is made;
// of unchanged inputs comes an unchanged value.
func (p *program) value(row change.Row, t *change.Table, whole bool) (change.Value, error) {
	if p.unchanged(row, t, whole) {
		return change.Value{Format: change.Unchanged}, nil
	}
	v, err := p.eval(row)
	if err != nil {
		return change.Value{}, err
	}
	if types.IsUnknown(v) {
		return change.Value{}, p.missing(row)
	}
	return write(v), nil
}

// unchanged tells whether no input of the expression changed. The key did not when the row is whole.
func (p *program) unchanged(row change.Row, t *change.Table, whole bool) bool {
	some := false
	for _, i := range p.inputs {
		switch {
		case row[i].Format == change.Unchanged:
			some = true
		case !whole || !t.IsKey(i):
			return false
		}
	}
	return some
}
