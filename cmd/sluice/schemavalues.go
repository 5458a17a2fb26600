package main

import (
	"fmt"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/sink"
)

// emptied is what a sink does at a TRUNCATE, by both sides' settings.
func (t *sinkTarget) emptied(source string) sinkStep {
	switch {
	case source == capture.TruncateSkip:
		return sinkStep{What: "keeps its rows: source.truncate is skip, so that no record says it"}
	case t.truncate != sink.TruncateApply:
		return sinkStep{What: "is held (truncate: refuse): nothing is deleted at " + t.Table + "; with truncate: apply it " + t.emptying(), Held: true}
	}
	return sinkStep{What: t.emptying()}
}

func (t *sinkTarget) emptying() string {
	rows := "all rows of " + t.Table
	if t.mapping.Shared {
		rows = "the rows of " + t.Table + " that come from this table"
	}
	switch sink.DeletePolicy(t.Deletes) {
	case sink.DeleteSoft:
		return "marks " + rows + " as deleted"
	case sink.DeleteArchive:
		return "moves " + rows + " into the archive"
	case sink.DeleteIgnore:
		return "keeps " + rows + " (deletes: ignore)"
	}
	return "deletes " + rows
}

// values is what a sink does about the new values of a column's type.
func (t *sinkTarget) values(v *capture.ValueChange) (steps []sinkStep) {
	for _, name := range t.of(v.Column) {
		steps = append(steps, t.value(name, v))
	}
	return steps
}

func (t *sinkTarget) value(column string, v *capture.ValueChange) sinkStep {
	switch {
	case v.Kind == capture.AttributesChanged:
		return sinkStep{What: fmt.Sprintf("writes column %s as before where it is text there; where it is of a composite type, run the statement there too, before the first such row: otherwise the sink stops at it", column)}
	case v.Kind == capture.LabelRenamed:
		return sinkStep{What: fmt.Sprintf("keeps '%s' in the rows of column %s that are there; run the statement at the destination too where the column is of an enum there, else UPDATE %s SET %s = '%s' WHERE %s = '%s'",
			v.Was, column, t.Table, column, v.Label, column, v.Was)}
	case !v.Direct:
		return sinkStep{What: fmt.Sprintf("writes '%s' where column %s is text there; where it has the enum in an array or a composite type, run the statement there too, before the first such row: otherwise the sink stops at it", v.Label, column)}
	case t.evolve == sink.EvolveNone:
		return sinkStep{What: fmt.Sprintf("writes '%s' where column %s is text there; where it is of an enum, the first row with the value holds the sink (evolve: none) until the statement was run there too", v.Label, column)}
	}
	return sinkStep{What: fmt.Sprintf("writes '%s' where column %s is text there; where it is of an enum, it adds the value, as the last, when the first row with it arrives and the sink's role owns the type", v.Label, column)}
}
