package publish

import (
	"context"
	"errors"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/registry"
)

// settled is a version of a table with schemas that the registry has taken.
type settled struct {
	table      *change.Table
	pair       schemas.Pair
	key, value int
}

// maxEvasions bounds the tries: one per earlier type of a column, where the registry checks all of them.
const maxEvasions = 16

// settle registers the schemas of a table version. Where the registry refuses a field of another type,
// the column goes on in a field of another name: the change has happened at the source, and refusing it
// would stop every table.
func (p *Publisher) settle(ctx context.Context, topic string, t *change.Table) (settled, error) {
	_, latest, err := p.registry.Latest(ctx, topic+"-value")
	if errors.Is(err, registry.ErrNotFound) {
		return p.settleAs(ctx, topic, t)
	}
	if err != nil {
		return settled{}, err
	}
	if t, err = schemas.Adopt(t, latest); err != nil {
		return settled{}, err
	}
	s, first := p.settleAs(ctx, topic, t)
	refused := first
	for n := 0; errors.Is(refused, registry.ErrIncompatible) && n < maxEvasions; n++ {
		next, err := schemas.Evade(t, latest)
		if next == nil || err != nil {
			return s, errors.Join(refused, err)
		}
		t = next
		s, refused = p.settleAs(ctx, topic, t)
	}
	if first != nil && refused == nil {
		p.log.Warn("the registry refuses the new shape as it is: columns of another type go on in other fields", "table", t.QualifiedName(), "reason", first)
	}
	return s, refused
}

func (p *Publisher) settleAs(ctx context.Context, topic string, t *change.Table) (s settled, err error) {
	s.table = t
	if s.pair, err = schemas.ForTable(topic, t); err != nil {
		return s, err
	}
	s.key, s.value, err = p.register(ctx, topic, s.pair)
	return s, err
}
