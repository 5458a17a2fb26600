package capture

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// roll is what is known of each table: what the stream said of its shape, and what the survey said of
// its capture. It is guarded by Capture.mu.
type roll struct {
	versions map[uint32]TableStatus
	surveyed []TableStatus
	partial  map[uint32]string // what of a table is not in Kafka
}

// list joins the two. A table that the survey does not name is gone, or was renamed and has another
// entry.
func (r *roll) list() []TableStatus {
	out := slices.Clone(r.surveyed)
	for i := range out {
		t := &out[i]
		if v, known := r.versions[t.OID]; known {
			t.Version, t.SinceLSN = v.Version, v.SinceLSN
		}
		if t.Reason == "" {
			t.Reason = r.partial[t.OID]
		}
	}
	slices.SortFunc(out, func(a, b TableStatus) int { return cmp.Compare(a.Table, b.Table) })
	return out
}

// noteVersion takes what the stream says of a table. It tells of a table that left source.tables by
// another name; its changes are dropped from there on.
func (c *Capture) noteVersion(v *version, outside bool) {
	t := v.Table
	c.mu.Lock()
	was, known := c.roll.versions[t.OID]
	if c.roll.versions == nil {
		c.roll.versions = map[uint32]TableStatus{}
	}
	c.roll.versions[t.OID] = TableStatus{Table: t.QualifiedName(), OID: t.OID, Version: v.Number, SinceLSN: v.From}
	c.mu.Unlock()
	if known && was.Version == v.Number || v.Number < 2 && !outside {
		return
	}
	if outside {
		c.notePartial(t.OID, "it had the name "+t.QualifiedName()+" for a time, which source.tables does not cover: its changes under that name are not in Kafka")
		c.log.Error("table is no longer captured: it has a name that source.tables does not cover; its changes are dropped from here on. "+
			"Add the name to source.tables, or rename it back", "table", change.FormatName(t.Schema, t.Name), "lsn", v.From)
		return
	}
	if names := v.untold(); len(names) > 0 {
		what := "rows from before " + v.From.String() + " may have values in " + strings.Join(names, ", ") + " that the log does not hold; sinks with such rows wait"
		c.notePartial(t.OID, what)
		c.log.Error("values of earlier rows are not known: they must be copied from the source", "table", t.QualifiedName(), "columns", names, "lsn", v.From)
	}
	c.log.Info("table has a new shape", "table", t.QualifiedName(), "version", v.Number, "lsn", v.From, "columns", len(t.Columns))
}

// noteSurvey takes what the survey says, and tells what is new of it.
func (c *Capture) noteSurvey(tables []TableStatus) {
	c.mu.Lock()
	before := c.roll.surveyed
	c.roll.surveyed = tables
	c.mu.Unlock()
	uncaptured := 0
	for _, t := range tables {
		if t.Captured {
			continue
		}
		uncaptured++
		if !slices.Contains(before, t) {
			c.log.Error("table is not captured", "table", t.Table, "reason", t.Reason, "fix", t.Fix)
		}
	}
	c.metrics.uncaptured.Set(float64(uncaptured))
}

// noteLeft tells of a generated column that is in no record.
func (c *Capture) noteLeft(t *change.Table, column, why string) {
	c.log.Warn("generated column is left out of the records", "table", t.QualifiedName(), "column", column, "reason", why)
}

// noteUnread tells of values that the log does not hold and the source no longer does.
func (c *Capture) noteUnread(t *change.Table, columns string, rows int) {
	c.log.Warn("generated columns are NULL in the records of rows whose log lacks what they are computed from: the rows are gone or have another key by now, "+
		"which later records say; REPLICA IDENTITY FULL avoids it", "table", t.QualifiedName(), "columns", columns, "rows", rows)
}

// notePartial notes that rows of a table are not in Kafka.
func (c *Capture) notePartial(oid uint32, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.roll.partial == nil {
		c.roll.partial = map[uint32]string{}
	}
	c.roll.partial[oid] = what
}
