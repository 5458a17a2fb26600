package sink

import (
	"context"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/transform"
)

// Finder is what a destination can do beside Sink when mappings may ask it for stored values.
type Finder interface {
	// Find gives the row of t, a table as Apply gets it, with the key in id: as it is behind the last
	// Apply, an open batch included. It is nil when there is none, or when it is kept as deleted. Values
	// are texts, valid until the next call; Absent where the destination has no such column.
	Find(ctx context.Context, t *change.Table, id change.Row) (change.Row, error)
}

// ask reads the row as the destination holds it, after all that comes before the change, and maps again.
func (m *mapper) ask(ctx context.Context, p *path, c *change.Change, lacks *transform.UnknownError) (out change.Change, ok bool, err error) {
	finder, can := m.Sink.(Finder)
	if !can || p.stale() || len(c.Table.Key) == 0 {
		return out, false, lacks
	}
	if len(m.out) > 0 {
		if err := m.Sink.Apply(ctx, &Batch{Changes: m.out, Open: true}); err != nil {
			return out, false, m.locate(err)
		}
		m.out = m.out[:0]
	}
	id := c.After
	if c.OtherKey != nil {
		id = c.OtherKey
	}
	stored, err := finder.Find(ctx, p.mapping.Table(), p.mapping.Key(id))
	if err == nil && stored == nil {
		err = lacks
	}
	if err != nil {
		return out, false, err
	}
	return p.mapping.Apply(c, p.mapping.Stored(stored))
}
