package postgres

import (
	"fmt"
	"log/slog"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// FromConfig gives the options of a configured sink. Absent columns are added where absent tables are
// created.
func FromConfig(common sink.Config, own Config, log *slog.Logger) (Options, error) {
	common.SetDefaults()
	o := Options{Config: own, Name: common.Name, Source: common.Source, Create: common.CreateTables(), Evolve: common.CreateTables(), Log: log}
	for i, t := range common.Tables {
		table, err := tableFrom(t)
		if err != nil {
			return Options{}, fmt.Errorf("tables[%d]: %w", i, err)
		}
		o.Tables = append(o.Tables, table)
	}
	return o, o.validate()
}

func tableFrom(c sink.Table) (t Table, err error) {
	if t.FromSchema, t.FromName, err = change.ParseName(c.From); err != nil {
		return t, fmt.Errorf("from: %w", err)
	}
	if t.ToSchema, t.ToName, err = change.ParseName(c.To); err != nil {
		return t, fmt.Errorf("to: %w", err)
	}
	t.Columns = c.Columns
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
	}
	return t, nil
}
