package transform

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/sluicecdc/sluice/internal/change"
)

// activation lets an expression look at a row where it lies; nothing is built for a row.
type activation struct {
	table *change.Table
	index map[string]int
	row   change.Row
}

func newActivation(t *change.Table) *activation {
	a := &activation{table: t, index: map[string]int{}}
	for i, name := range variables(t) {
		if name != "" {
			a.index[name] = i
		}
	}
	return a
}

// ResolveName implements cel.Activation. A value that is not in the row is CEL's unknown, which goes
// through && and || as NULL does in SQL.
func (a *activation) ResolveName(name string) (any, bool) {
	i, ok := a.index[name]
	if !ok {
		return nil, false
	}
	v := &a.row[i]
	switch v.Format {
	case change.Null:
		return types.NullValue, true
	case change.Text:
		return read(&a.table.Columns[i].Type, v.Data), true
	}
	return types.NewUnknown(int64(i), nil), true
}

// Parent implements cel.Activation.
func (a *activation) Parent() cel.Activation { return nil }

func known(v change.Value) bool { return v.Format == change.Null || v.Format == change.Text }
