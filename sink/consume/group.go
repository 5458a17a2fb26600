package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// group is the group whose END was read and whose records are being taken.
type group struct {
	open    bool
	end     avro.End
	cursors []*cursor // that hold records of it
	left    int64     // records not yet taken, over all cursors
	ordinal int64     // of the last change taken
	time    change.Micros
	others  bool          // it is meant for other sinks: its records are passed over
	copying bool          // rows of the sink's tables are still to come
	warned  bool          // that its records let us wait
	waits   []*tableState // of which changes waited in the held topic when the END was written

	sink     string // our name
	log      *slog.Logger
	drop     interface{ Inc() }
	cutShort string // the last group that was reported as cut short
}

// begin takes over what the END says of the sink's tables.
func (g *group) begin(tables map[string]*tableState) error {
	g.open, g.cursors, g.left, g.ordinal, g.warned, g.waits = true, g.cursors[:0], 0, 0, false, g.waits[:0]
	g.time = change.Micros(g.end.TimeMillis * 1000)
	g.others, g.copying = len(g.end.Sinks) > 0 && !slices.Contains(g.end.Sinks, g.sink), false
	for _, t := range tables {
		t.early = slices.Contains(g.end.Copying, t.name)
		g.copying = g.copying || t.early
		t.keep = 0
		if r := g.end.Repair; r != nil && slices.Contains(r.Tables, t.name) {
			t.keep = r.Gap
		}
	}
	for i := range g.end.Collections {
		t := tables[g.end.Collections[i].Name]
		if t == nil {
			continue
		}
		t.taken, t.late = 0, 0
		if g.end.Collections[i].Held > 0 {
			g.waits = append(g.waits, t)
		}
		if err := g.expect(t, &g.end.Collections[i]); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) expect(t *tableState, counts *avro.Collection) error {
	for _, p := range counts.Partitions {
		if p.Partition < 0 || p.EventCount < 0 {
			return fmt.Errorf("the END of group %s names partition %d of %s with %d records", g.end.ID, p.Partition, t.name, p.EventCount)
		}
		if int(p.Partition) >= len(t.cursors) {
			return fault{fmt.Errorf("the END of group %s names partition %d of %s, which had %d when the reading began: read again", g.end.ID, p.Partition, t.name, len(t.cursors))}
		}
		if p.EventCount == 0 {
			continue
		}
		c := t.cursors[p.Partition]
		if c.need != 0 {
			return fmt.Errorf("the END of group %s names partition %d of %s twice", g.end.ID, p.Partition, t.name)
		}
		g.need(c, p.EventCount)
	}
	return nil
}

func (g *group) need(c *cursor, records int64) {
	if c.need == 0 {
		g.cursors = append(g.cursors, c)
	}
	c.need += records
	g.left += records
}

// next finds the cursor with the lowest ordinal. When a record is not at hand it gives the cursor that
// lacks it as starved.
func (g *group) next(ctx context.Context, k codec, into *buffer, rec *avro.Record) (first, starved *cursor, err error) {
	for _, c := range g.cursors {
		if c.need == 0 {
			continue
		}
		if !c.have {
			ok, err := c.load(ctx, g, k, into, rec)
			if err != nil {
				return nil, nil, err
			}
			if !ok {
				return nil, c, nil
			}
		}
		if first == nil || c.head.Ordinal < first.head.Ordinal {
			first = c
		}
	}
	return first, nil, g.check(first)
}

func (g *group) check(c *cursor) error {
	if c.head.Ordinal > g.ordinal {
		return nil
	}
	return c.wrong(g, c.next-1, fmt.Sprintf("ordinal %d comes after ordinal %d", c.head.Ordinal, g.ordinal))
}

// take gives the head of first. A TRUNCATE stands in every partition of its topic under one ordinal:
// it is taken from all of them at once.
func (g *group) take(first *cursor) (change.Change, error) {
	out := first.head
	out.Early, out.Keep = first.table.early, first.table.keep
	g.ordinal, g.time = out.Ordinal, first.time
	first.table.taken++
	for _, c := range g.cursors {
		if !c.have || c.head.Ordinal != out.Ordinal {
			continue
		}
		if c != first && (c.table != first.table || out.Op != change.Truncate || c.head.Op != change.Truncate) {
			return out, c.wrong(g, c.next-1, fmt.Sprintf("ordinal %d is in topic %s, partition %d, too", out.Ordinal, first.Topic, first.Partition))
		}
		c.release()
		g.left--
	}
	return out, nil
}

// finish checks the counts of changes and marks what was read as whole.
func (g *group) finish(tables map[string]*tableState) error {
	var errs []error
	for i := range g.end.Collections {
		counts := &g.end.Collections[i]
		t := tables[counts.Name]
		if t == nil {
			continue
		}
		if want := counts.EventCount - counts.Held + t.late; t.taken != want {
			errs = append(errs, fmt.Errorf("group %s (commit %s) announced %d changes of %s and its records hold %d: the destination keeps the state of the group before",
				g.end.ID, g.end.Commit, want, counts.Name, t.taken))
		}
	}
	for _, c := range g.cursors {
		c.whole = c.next
	}
	g.open = false
	return errors.Join(errs...)
}

// dropped counts a record of a group that never ended, and says so once for each such group.
func (g *group) dropped(id string, commit change.LSN) {
	if g.drop != nil {
		g.drop.Inc()
	}
	if g.cutShort == id {
		return
	}
	g.cutShort = id
	g.log.Warn("dropping the records of a group that was cut short and never ended", "group", id, "lsn", commit)
}
