package capture

import (
	"slices"
	"testing"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

// columnsOf gives columns of type int4 by name.
func columnsOf(names ...string) (out []pgoutput.RelationColumn) {
	for _, n := range names {
		out = append(out, pgoutput.RelationColumn{Name: n, Type: 23, Mod: -1})
	}
	return out
}

// attributesOf gives a catalogue of columns of type int4; an empty name is a dropped column.
func attributesOf(names ...string) (out []attribute) {
	for i, n := range names {
		out = append(out, attribute{Number: int16(i + 1), Name: n, Type: 23, Mod: -1, Dropped: n == ""})
	}
	return out
}

// versionOf gives a version with columns of these numbers.
func versionOf(columns []pgoutput.RelationColumn, numbers ...int16) *version {
	v := &version{Columns: columns, Table: &change.Table{}}
	for i, c := range columns {
		v.Table.Columns = append(v.Table.Columns, change.Column{Name: c.Name, Attnum: numbers[i]})
	}
	return v
}

// Numbers of old log decoded after a later statement are those that can be known, and none is guessed.
func TestNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		message []pgoutput.RelationColumn
		before  *version
		now     []attribute
		want    []int16
	}{
		"renamed since, before known":  {columnsOf("id", "a"), versionOf(columnsOf("id", "a"), 1, 2), attributesOf("id", "b"), []int16{1, 2}},
		"renamed since, one place":     {columnsOf("id", "a"), nil, attributesOf("id", "b"), []int16{1, 2}},
		"renamed twice, two places":    {columnsOf("id", "a"), nil, attributesOf("id", "b", "c"), []int16{1, 0}},
		"added and dropped since":      {columnsOf("id", "x", "b"), versionOf(columnsOf("id", "b"), 1, 3), attributesOf("id", "", "b"), []int16{1, 2, 3}},
		"added later":                  {columnsOf("id"), versionOf(columnsOf("id"), 1), attributesOf("id", "new"), []int16{1}},
		"dropped later":                {columnsOf("id", "a", "b"), nil, attributesOf("id", "", "b"), []int16{1, 2, 3}},
		"dropped later, two places":    {columnsOf("id", "a", "b"), nil, attributesOf("id", "", "", "b"), []int16{1, 0, 4}},
		"names exchanged later":        {columnsOf("id", "a", "b"), versionOf(columnsOf("id", "a", "b"), 1, 2, 3), attributesOf("id", "b", "a", "c"), []int16{1, 2, 3}},
		"names exchanged, none before": {columnsOf("id", "a", "b"), nil, attributesOf("id", "b", "a"), []int16{1, 2, 3}},
		"exchanged, more columns":      {columnsOf("id", "a", "b"), nil, attributesOf("id", "b", "a", "c"), []int16{1, 0, 0}},
		"the table is gone":            {columnsOf("id", "a"), versionOf(columnsOf("id", "a"), 1, 4), nil, []int16{1, 4}},
		"gone and never seen":          {columnsOf("id", "a"), nil, nil, []int16{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := number(c.message, c.before, c.now); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// The catalogue's numbers hold only where it has the message's shape.
func TestAgreeing(t *testing.T) {
	now := attributesOf("id", "", "b")
	if live := agreeing(columnsOf("id", "b"), now); len(live) != 2 || live[1].Number != 3 {
		t.Errorf("an equal shape gave %v", live)
	}
	if live := agreeing(columnsOf("id", "c"), now); live != nil {
		t.Errorf("another shape gave %v", live)
	}
	now[2].Generated = "s"
	if live := agreeing(columnsOf("id", "b"), now); len(live) != 2 {
		t.Errorf("a generated column in the log: %v", live)
	}
	if live := agreeing(columnsOf("id"), now); live != nil {
		t.Errorf("a message from before a generated column that the log has: %v", live)
	}
	now[2].Unlogged = true
	if live := agreeing(columnsOf("id"), now); len(live) != 1 {
		t.Errorf("a generated column that is not in the log: %v", live)
	}
}
