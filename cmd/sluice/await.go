package main

import (
	"context"
	"strings"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/control"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/sink"
)

// askForRows has capture copy the rows that a sink waits for.
func askForRows(ctx context.Context, cfg *config.Config, client *kafka.Client, wishes []sink.Wish) error {
	if len(wishes) == 0 {
		return nil
	}
	all := control.Wishes{}
	for i := range wishes {
		w := &wishes[i]
		r := capture.CopyRequest{ID: w.ID(), Table: w.Table, Where: rowsByKey(cfg, w), Sink: w.Sink, Wanted: capture.WantRun, Round: w.Round}
		if err := all.Put(snapshotPrefix+r.ID, &r); err != nil {
			return err
		}
	}
	// The sink's runner writes under its name, perhaps at this moment. Capture has made the topic: it has sent the row.
	return control.WriteAs(ctx, client, cfg.Source.Name, wishes[0].Sink+"/rows", all)
}

// rowsByKey is the SQL condition for the rows of a wish. Literals without a type take that of their column.
func rowsByKey(cfg *config.Config, w *sink.Wish) string {
	var columns, keys []string
	for _, c := range w.Columns {
		columns = append(columns, `"`+strings.ReplaceAll(nameAtSource(cfg, w.Table, c), `"`, `""`)+`"`)
	}
	for _, key := range w.Keys {
		var values []string
		for _, v := range key {
			values = append(values, textLiteral(v))
		}
		keys = append(keys, "("+strings.Join(values, ", ")+")")
	}
	return "(" + strings.Join(columns, ", ") + ") IN (" + strings.Join(keys, ", ") + ")"
}

// textLiteral quotes a text whatever the server's standard_conforming_strings is.
func textLiteral(v string) string {
	quoted := "'" + strings.ReplaceAll(v, "'", "''") + "'"
	if strings.Contains(v, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// nameAtSource is the name that a published column has in its table.
func nameAtSource(cfg *config.Config, table, column string) string {
	schema, name, _ := change.ParseName(table) // the configuration was validated
	t := &change.Table{Schema: schema, Name: name}
	for i := range cfg.Transforms {
		if !cfg.Transforms[i].Covers(t) {
			continue
		}
		for old, now := range cfg.Transforms[i].Rename {
			if now == column {
				return old
			}
		}
	}
	return column
}
