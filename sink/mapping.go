package sink

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/transform"
)

// mapper stands before a destination and gives it changes in the shape that it wants.
type mapper struct {
	Sink
	routes   map[string][]*route // by source table
	versions map[*change.Table][]*path
	shapes   []*change.Table // of destinations that several sources share
	out      []change.Change
}

// Mapped puts the mappings of the tables before a destination. Without any it is the destination
// itself, and a table without any passes as it is.
func Mapped(dest Sink, c *Config) (Sink, error) {
	m := &mapper{Sink: dest, routes: map[string][]*route{}}
	any := false
	for i := range c.Tables {
		t := &c.Tables[i]
		r, err := newRoute(t, c.Shared(i))
		if err != nil {
			return nil, fmt.Errorf("tables[%d]: %w", i, err)
		}
		m.routes[t.source()] = append(m.routes[t.source()], r)
		any = any || !r.identity(t)
	}
	if !any {
		return dest, nil
	}
	m.forget()
	return m, nil
}

func (m *mapper) forget() { m.versions, m.shapes = map[*change.Table][]*path{}, nil }

// Resume implements Sink.
func (m *mapper) Resume(ctx context.Context) (Checkpoint, error) {
	m.forget()
	return m.Sink.Resume(ctx)
}

// Apply implements Sink.
func (m *mapper) Apply(ctx context.Context, b *Batch) error {
	m.reset()
	for i := 0; i < len(b.Changes); {
		n := 1
		if i+1 < len(b.Changes) && halves(&b.Changes[i], &b.Changes[i+1]) {
			n = 2
		}
		if err := m.add(ctx, b.Changes[i:i+n]); err != nil {
			return HeldAt(err, b.Changes[i].Commit)
		}
		i += n
	}
	mapped := *b
	mapped.Changes = m.out
	return m.locate(m.Sink.Apply(ctx, &mapped))
}

// locate adds to an error about a column where the configuration says what it is filled with.
func (m *mapper) locate(err error) error {
	var bad *ColumnError
	if !errors.As(err, &bad) {
		return err
	}
	for _, paths := range m.versions {
		for _, p := range paths {
			if p.mapping == nil || p.mapping.Table() != bad.Table {
				continue
			}
			if place := p.target.Columns.Place(bad.Column); place != nil {
				return fmt.Errorf("%w\n%w", err, place)
			}
		}
	}
	return err
}

// reset takes back the rows of the batch before.
func (m *mapper) reset() {
	m.out = m.out[:0]
	for _, paths := range m.versions {
		for _, p := range paths {
			if p.mapping != nil {
				p.mapping.Reset()
			}
		}
	}
}

// halves tells whether two changes are those of one key change, which stay side by side.
func halves(a, b *change.Change) bool {
	return a.Op == change.Delete && a.OtherKey != nil && b.Op == change.Create && b.OtherKey != nil &&
		a.Table == b.Table && b.Ordinal == a.Ordinal+1
}

// add maps a change, or the halves of one, along every path of its table.
func (m *mapper) add(ctx context.Context, cs []change.Change) error {
	if cs[0].Table == nil {
		m.out = append(m.out, cs...)
		return nil
	}
	paths, err := m.paths(cs[0].Table)
	if err != nil {
		return err
	}
	for _, p := range paths {
		for i := range cs {
			if err := m.along(ctx, p, &cs[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// paths compiles the paths of a table version when it is new, before any of its rows is mapped.
func (m *mapper) paths(t *change.Table) ([]*path, error) {
	if paths, ok := m.versions[t]; ok {
		return paths, nil
	}
	var paths []*path
	for _, r := range m.routes[canonical(change.FormatName(t.Schema, t.Name))] {
		p := &path{route: r}
		if !r.plain(t) {
			var err error
			if p.mapping, err = r.target.Compile(t); err != nil {
				return nil, fmt.Errorf("cannot map table %s to %s.%s: %w", t.QualifiedName(), r.target.Schema, r.target.Name, err)
			}
			m.share(p)
		}
		paths = append(paths, p)
	}
	if paths == nil {
		paths = []*path{{}} // the destination knows what to say of a table that nobody configured
	}
	m.versions[t] = paths
	return paths, nil
}

// share lets sources of one destination use one table, so that their changes can be written together.
func (m *mapper) share(p *path) {
	if !p.target.Shared {
		return
	}
	shape := p.mapping.Table()
	for _, known := range m.shapes {
		one := *shape
		one.OID, one.Identity = known.OID, known.Identity
		if reflect.DeepEqual(&one, known) {
			p.mapping.Use(known)
			return
		}
	}
	m.shapes = append(m.shapes, shape)
}

// along maps one change and asks the destination for values that it needs and the change lacks.
func (m *mapper) along(ctx context.Context, p *path, c *change.Change) error {
	if p.mapping == nil {
		m.out = append(m.out, *c)
		return nil
	}
	out, ok, err := p.mapping.Apply(c, nil)
	var lacks *transform.UnknownError
	if errors.As(err, &lacks) {
		out, ok, err = m.ask(ctx, p, c, lacks)
	}
	if c.Early && errors.As(err, &lacks) && !Retryable(err) {
		return nil // the row is not there yet
	}
	if errors.As(err, &lacks) && !Retryable(err) && m.await(p, c) {
		return nil
	}
	if err != nil {
		return p.explain(c, err)
	}
	if !ok {
		m.absent(p, c)
		return nil
	}
	if p.stale() && partial(out.After) {
		if m.await(p, c) {
			return nil
		}
		return p.hold(c, "an update left a TOASTed value unchanged, and what "+p.name()+" holds of it may be older: under deletes: ignore a row that stopped to match where stays as it was")
	}
	m.out = append(m.out, out)
	return nil
}

func partial(row change.Row) bool {
	for i := range row {
		if row[i].Format == change.Unchanged || row[i].Format == change.Absent {
			return true
		}
	}
	return false
}
