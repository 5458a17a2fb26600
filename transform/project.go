package transform

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// all gives every column of a table under its own name.
func all(t *change.Table) []cell {
	cells := make([]cell, len(t.Columns))
	for i, c := range t.Columns {
		cells[i] = cell{column: c, plain: true, source: i}
	}
	return cells
}

// project gives the columns that are asked for.
func project(t *change.Table, columns Columns) ([]cell, error) {
	var cells []cell
	for _, c := range columns {
		one, err := projectOne(t, c)
		if err != nil {
			return nil, err
		}
		cells = append(cells, one)
	}
	return cells, nil
}

func projectOne(t *change.Table, c Column) (cell, error) {
	switch c.From.Kind {
	case SourceConstant:
		return constant(c.Name, c.From.Constant(), c.From.constantType()), nil
	case SourceExpression:
		return compute(c.Name, c.From.Expression, t)
	}
	i, err := find(t, c.From.Column())
	if err != nil {
		fault := c.From.fault(1, 0, "%v", err)
		return cell{}, fault
	}
	column := t.Columns[i]
	column.Name = c.Name
	return cell{column: column, plain: true, source: i}, nil
}

// find gives the index of a column.
func find(t *change.Table, name string) (int, error) {
	i := slices.IndexFunc(t.Columns, func(c change.Column) bool { return c.Name == name })
	if i >= 0 {
		return i, nil
	}
	var have []string
	for _, c := range t.Columns {
		have = append(have, c.Name)
	}
	return -1, fmt.Errorf("names column %s, which table %s does not have (it has %s)", name, t.QualifiedName(), strings.Join(have, ", "))
}
