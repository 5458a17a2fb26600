package sink

import (
	"context"

	"github.com/sluicecdc/sluice/internal/change"
)

// await has the destination wait for a row of which the change does not hold what the mapping needs; false
// where that cannot be.
func (m *mapper) await(p *path, c *change.Change) bool {
	if _, can := m.Sink.(Awaiter); !can || len(c.Table.Key) == 0 {
		return false
	}
	m.out = append(m.out, p.keyed(change.Await, c))
	return true
}

// absent tells the destination of a row that does not belong, and of which it would not hear otherwise: if it
// waits for it, it does so no more.
func (m *mapper) absent(p *path, c *change.Change) {
	from, can := m.Sink.(Awaiter)
	if can && len(c.Table.Key) > 0 && from.Awaits(p.mapping.Table()) {
		m.out = append(m.out, p.keyed(change.Delete, c))
	}
}

// keyed makes a change of the destination's row that a change is of, with its key alone.
func (p *path) keyed(op change.Op, c *change.Change) change.Change {
	row := c.After
	if row == nil {
		row = c.Before
	}
	return change.Change{
		Op: op, Table: p.mapping.Table(), Before: p.mapping.Key(row), BeforeKind: change.BeforeKey,
		Ordinal: c.Ordinal, LSN: c.LSN, Commit: c.Commit, Time: c.Time, Early: c.Early, Keep: c.Keep,
	}
}

// Awaited implements Awaiter.
func (m *mapper) Awaited(ctx context.Context, n int) ([]Awaited, error) {
	if from, can := m.Sink.(Awaiter); can {
		return from.Awaited(ctx, n)
	}
	return nil, nil
}

// CountAwaited implements Awaiter.
func (m *mapper) CountAwaited(ctx context.Context) ([]AwaitedTable, error) {
	if from, can := m.Sink.(Awaiter); can {
		return from.CountAwaited(ctx)
	}
	return nil, nil
}

// Awaits implements Awaiter.
func (m *mapper) Awaits(t *change.Table) bool {
	from, can := m.Sink.(Awaiter)
	return can && from.Awaits(t)
}
