package postgres

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// FromConfig gives the options of a configured sink.
func FromConfig(common sink.Config, own Config, log *slog.Logger) (Options, error) {
	common.SetDefaults()
	o := Options{Config: own, Name: common.Name, Source: common.Source, Create: common.CreateTables(), Evolve: common.Evolve, Log: log}
	for i, t := range common.Tables {
		table, err := tableFrom(t)
		if err != nil {
			return Options{}, fmt.Errorf("tables[%d]: %w", i, err)
		}
		o.add(table)
	}
	return o, o.validate()
}

// add joins entries that fill the same table.
func (o *Options) add(t Table) {
	for i := range o.Tables {
		if have := &o.Tables[i]; have.to() == t.to() {
			have.From += ", " + t.From
			have.Shared = true
			have.Filtered = have.Filtered || t.Filtered
			for _, c := range t.Columns {
				if !slices.Contains(have.Columns, c) {
					have.Columns = append(have.Columns, c)
				}
			}
			return
		}
	}
	o.Tables = append(o.Tables, t)
}

func tableFrom(c sink.Table) (t Table, err error) {
	schema, name, err := change.ParseName(c.From)
	if err != nil {
		return t, fmt.Errorf("from: %w", err)
	}
	t.From = schema + "." + name
	if t.ToSchema, t.ToName, err = change.ParseName(c.To); err != nil {
		return t, fmt.Errorf("to: %w", err)
	}
	t.Columns, t.Filtered = c.Columns.Names(), c.Where != nil
	t.Truncate = c.Truncate == sink.TruncateApply
	switch c.Deletes.Policy {
	case sink.DeleteHard:
		t.Deletes = Hard
	case sink.DeleteIgnore:
		t.Deletes = Ignore
	case sink.DeleteSoft:
		t.Deletes = Soft
		for _, a := range c.Deletes.Set {
			t.Soft = append(t.Soft, SoftColumn(a))
		}
	case sink.DeleteArchive:
		t.Deletes = Archive
		if t.ArchiveSchema, t.ArchiveName, err = change.ParseName(c.Deletes.Archive); err != nil {
			return t, fmt.Errorf("deletes.archive: %w", err)
		}
	}
	return t, nil
}
