package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/deadletter"
)

// parkedRow is what is parked of one row.
type parkedRow struct {
	Key     string    `json:"key"`
	Table   string    `json:"table"`
	Changes int       `json:"changes"`
	Since   time.Time `json:"since"`
	// Linked are keys that the row had, or got: what is parked of them goes together.
	Linked []string `json:"linked,omitempty"`
	Error  string   `json:"error,omitempty"`
	Class  string   `json:"class,omitempty"`
	Code   string   `json:"sqlstate,omitempty"`
	Fix    string   `json:"fix,omitempty"`
	// Tried is when the changes were last to be applied and failed, with Error.
	Tried time.Time `json:"tried_at,omitzero"`
}

// parkedRows gathers changes by their rows, in the order of the first of each.
func parkedRows(all []*deadletter.Stored) []*parkedRow {
	rows := []*parkedRow{}
	by := map[string]*parkedRow{}
	for _, s := range all {
		r := by[s.Key]
		if r == nil {
			r = &parkedRow{Key: s.Key, Table: s.Table, Since: s.Parked}
			by[s.Key] = r
			rows = append(rows, r)
		}
		r.Changes++
		if s.Linked != "" {
			r.Linked = append(r.Linked, s.Linked)
		}
		if r.Error == "" {
			r.Error, r.Class, r.Code, r.Fix = s.Error, s.Class, s.Code, s.Fix
		}
		if t := s.Tried; t != nil && t.Time.After(r.Tried) {
			r.Error, r.Class, r.Code, r.Tried = t.Error, t.Class, t.Code, t.Time
		}
	}
	return rows
}

// printParked shows rows for people, one a line.
func printParked(w io.Writer, sink string, rows []*parkedRow) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintf(w, "nothing is parked at sink %s\n", sink)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "KEY\tCHANGES\tSINCE\tERROR")
	for _, r := range rows {
		why := r.Error
		if why == "" && len(r.Linked) > 0 {
			why = "belongs to " + r.Linked[0]
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", r.Key, r.Changes, r.Since.Format("2006-01-02 15:04:05Z"), why)
	}
	return t.Flush()
}

var opWords = map[change.Op]string{change.Create: "create", change.Update: "update", change.Delete: "delete", change.Read: "read"}

// printEntries shows changes in full.
func printEntries(w io.Writer, sink string, all []shownEntry) error {
	var b strings.Builder
	for _, s := range all {
		c := &s.Change.Change
		fmt.Fprintf(&b, "%s\n  change   %s at %s, committed %s, parked %s\n", s.Change.Key, opWords[c.Op], c.Position(),
			time.UnixMicro(int64(c.Time)).UTC().Format("2006-01-02 15:04:05.000Z"), s.Change.Parked.Format("2006-01-02 15:04:05Z"))
		if s.Change.Linked != "" {
			fmt.Fprintf(&b, "  linked   %s: its key was changed\n", s.Change.Linked)
		}
		rowLines(&b, "before", c.Table, c.Before)
		rowLines(&b, "after", c.Table, c.After)
		switch e := s.Change; {
		case e.Behind:
			fmt.Fprintln(&b, "  reason   earlier changes of the row are parked")
		default:
			fmt.Fprintf(&b, "  error    %s\n", e.Error)
			if e.Fix != "" {
				fmt.Fprintf(&b, "  to do    %s\n", e.Fix)
			}
			fmt.Fprintf(&b, "  then     sluice dlq replay %s %s\n", sink, e.Key)
		}
		if t := s.Tried; t != nil {
			fmt.Fprintf(&b, "  tried    %s: %s\n", t.Time.Format("2006-01-02 15:04:05Z"), t.Error)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func rowLines(b *strings.Builder, what string, t *change.Table, row change.Row) {
	for i, v := range row {
		var value string
		switch v.Format {
		case change.Text:
			value = string(v.Data)
		case change.Null:
			value = "NULL"
		case change.Unchanged:
			value = "(unchanged)"
		default:
			continue
		}
		fmt.Fprintf(b, "  %-8s %s = %s\n", what, t.Columns[i].Name, strings.ReplaceAll(value, "\n", "\n             "))
		what = ""
	}
}
