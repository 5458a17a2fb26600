package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/sink"
)

// emptied is what a sink does at a TRUNCATE, by both sides' settings.
func (t *sinkTarget) emptied(source string) sinkStep {
	switch {
	case source == capture.TruncateSkip:
		return sinkStep{What: "keeps its rows: no record says that they are gone", Stale: true}
	case t.truncate != sink.TruncateApply:
		return sinkStep{What: "is held (truncate: refuse), and deletes nothing; with truncate: apply it " + t.emptying(), Held: true}
	}
	return sinkStep{What: t.emptying()}
}

func (t *sinkTarget) emptying() string {
	rows := "all rows"
	if t.mapping.Shared {
		rows = "the rows that come from this table"
	}
	if t.calls && sink.DeletePolicy(t.Deletes) != sink.DeleteIgnore {
		return "makes the call clear, for " + rows
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

// typesThere are what the columns of a destination table are of.
type typesThere struct {
	types map[string]string
	known bool // the destination has answered
}

// askTypes asks the destination of a sink.
func askTypes(ctx context.Context, s config.Sink, t *sinkTarget) typesThere {
	dest, err := newDestination(s, slog.New(slog.DiscardHandler), nil, nil)
	if err != nil {
		return typesThere{}
	}
	types, err := dest.ColumnTypes(ctx, t.mapping.Schema, t.mapping.Name)
	return typesThere{types, err == nil}
}

// text tells whether a column takes any text.
func (t typesThere) text(column string) bool {
	typ, there := t.types[column]
	return t.known && (!there || typ == "text" || typ == "character varying")
}

// there names the type that a column has at the destination.
func (t typesThere) there(column string) string {
	if typ := t.types[column]; typ != "" {
		return "of type " + typ
	}
	return "of the type too (which the destination does not answer)"
}

// values is what a sink does about the new values of a column's type.
func (t *sinkTarget) values(v *capture.ValueChange, there typesThere) (steps []sinkStep) {
	for _, name := range t.of(v.Column) {
		steps = append(steps, t.value(name, v, there))
	}
	return steps
}

func (t *sinkTarget) value(column string, v *capture.ValueChange, there typesThere) sinkStep {
	is := "column " + column + " is " + there.there(column) + " there"
	switch {
	case v.Kind == capture.LabelRenamed:
		return t.relabelled(column, v, there)
	case there.text(column):
		return sinkStep{What: "writes what comes into column " + column + ", which is text there"}
	case v.Kind == capture.AttributesChanged:
		return sinkStep{What: is + ": it stops at the first row of the new form, unless the statement was run there before", Held: true}
	case !v.Direct:
		return sinkStep{What: is + ": it stops at the first row with " + quoted(v.Label) + ", unless the statement was run there before", Held: true}
	case t.evolve == sink.EvolveNone:
		return sinkStep{What: is + ": it is held at the first row with " + quoted(v.Label) + " (evolve: none), unless the statement was run there before", Held: true}
	}
	return sinkStep{What: is + ": it adds " + quoted(v.Label) + ", as the last value, when the first row with it arrives, where its role owns the type"}
}

// relabelled says how the rows that are there are made to say what the source's do.
func (t *sinkTarget) relabelled(column string, v *capture.ValueChange, there typesThere) sinkStep {
	keeps := "keeps " + quoted(v.Was) + " in column " + column
	switch {
	case there.text(column) && v.Direct:
		return sinkStep{What: fmt.Sprintf("%s, which is text there; run there when the statement was run here: UPDATE %s SET %s = %s WHERE %s = %s",
			keeps, t.Table, column, quoted(v.Label), column, quoted(v.Was))}
	case there.text(column):
		return sinkStep{What: keeps + ", which is text there, until those rows are written again"}
	}
	return sinkStep{What: keeps + ", which is " + there.there(column) + " there; run the statement there too"}
}

func quoted(label string) string { return "'" + strings.ReplaceAll(label, "'", "''") + "'" }
