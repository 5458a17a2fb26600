package capture

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

// version is a table's shape from a position of the log on. Positions of events order the shapes of
// one table, though not its transactions: what changes a shape excludes every writer until it commits.
type version struct {
	Number  int                       `json:"number"` // from 1
	From    change.LSN                `json:"from"`   // of the first change in this shape
	Columns []pgoutput.RelationColumn `json:"columns"`
	Table   *change.Table             `json:"table"`
	// Storage names the files of the table when it was last looked at with the shape of the log, this one or
	// one before; empty when it never was. A statement that rewrites the table gives it others.
	Storage string `json:"storage,omitempty"`
	// Exact says that the event trigger described the table: nothing of it is a matter of today's catalogue.
	Exact bool `json:"exact,omitempty"`
}

// fits tells whether a Relation message says of the columns what this version's did.
func (v *version) fits(m *pgoutput.Relation) bool {
	return v != nil && v.Table.Schema == m.Schema && v.Table.Name == m.Name && v.Table.Identity == m.Identity && slices.Equal(v.Columns, m.Columns)
}

// find gives the index of the column of a number, -1 when there is none.
func (v *version) find(attnum int16) int {
	if v == nil || attnum == 0 {
		return -1
	}
	return slices.IndexFunc(v.Table.Columns, func(c change.Column) bool { return c.Attnum == attnum })
}

// typed gives the type that the column of a number had, nil unless the log said the same of it.
func (v *version) typed(attnum int16, oid uint32, mod int32) *change.Type {
	if v == nil || attnum == 0 {
		return nil
	}
	for i, c := range v.logged() {
		if c.Attnum == attnum && v.Columns[i].Type == oid && v.Columns[i].Mod == mod {
			return &c.Type
		}
	}
	return nil
}

// logged gives the columns that travel in the log, one for each of Columns.
func (v *version) logged() []change.Column {
	return slices.DeleteFunc(slices.Clone(v.Table.Columns), func(c change.Column) bool { return c.Expression != nil })
}

// maxVersions bounds the history of a table. Only log that is not confirmed can come again, and a
// version is written when everything before it is durable.
const maxVersions = 8

// history is what the tables looked like, by position. It stands in the journal, so that after a
// restart the old and the new shape of a table can be compared.
type history struct {
	journal Journal
	byOID   map[uint32][]version
}

func newHistory(j Journal) *history { return &history{journal: j, byOID: map[uint32][]version{}} }

// historyKey is the journal's key of a table's history.
func historyKey(oid uint32) string { return "table/" + strconv.FormatUint(uint64(oid), 10) }

func (h *history) of(oid uint32) ([]version, error) {
	if all, known := h.byOID[oid]; known {
		return all, nil
	}
	var all []version
	if b, ok := h.journal.Get(historyKey(oid)); ok {
		if err := json.Unmarshal(b, &all); err != nil {
			return nil, fatal(fmt.Errorf("cannot read the history of table %d in the state topic: %w; capture does not know how its columns were and goes no further", oid, err))
		}
	}
	h.byOID[oid] = all
	return all, nil
}

// at gives the version that was in force at a position, nil when none is known, and whether a later
// one is known.
func (h *history) at(oid uint32, lsn change.LSN) (v *version, passed bool, err error) {
	all, err := h.of(oid)
	if err != nil {
		return nil, false, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].From <= lsn {
			return &all[i], i+1 < len(all), nil
		}
	}
	return nil, len(all) > 0, nil
}

// add stores the newest version of a table. It returns when the version, and everything published
// before it, is durable.
func (h *history) add(ctx context.Context, v version) (version, error) {
	all, err := h.of(v.Table.OID)
	if err != nil {
		return v, err
	}
	v.Number = 1
	if n := len(all); n > 0 {
		v.Number = all[n-1].Number + 1
	}
	all = append(slices.Clone(all), v)
	all = all[max(0, len(all)-maxVersions):]
	was := h.byOID[v.Table.OID]
	h.byOID[v.Table.OID] = all
	if err := h.store(ctx, v.Table.OID); err != nil {
		h.byOID[v.Table.OID] = was
		return v, err
	}
	return v, nil
}

// store writes what is known of a table.
func (h *history) store(ctx context.Context, oid uint32) error {
	all := h.byOID[oid]
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := h.journal.Put(ctx, historyKey(oid), b); err != nil {
		t := all[len(all)-1].Table
		return fatal(fmt.Errorf("cannot store the shape of %s: %w", change.FormatName(t.Schema, t.Name), err))
	}
	return nil
}

// sameShape compares tables without what their rows had before they had a column, which a rewrite of
// the table forgets.
func sameShape(a, b *change.Table) bool {
	return reflect.DeepEqual(withoutMissing(a), withoutMissing(b))
}

func withoutMissing(t *change.Table) change.Table {
	out := *t
	out.Columns = slices.Clone(t.Columns)
	for i := range out.Columns {
		out.Columns[i].Missing, out.Columns[i].Untold = nil, 0
	}
	return out
}
