package verify

import (
	"context"

	"github.com/sluicecdc/sluice/internal/change"
)

// sourceColumns are all columns of the source, with the version of the row before them.
func (p *pair) sourceColumns() string {
	return versionColumns("s") + ", " + list(p.From.Columns, ", ", func(_ int, c change.Column) string { return "s." + ident(c.Name) })
}

// destColumns are the key's and the compared ones, with the version of the row before them.
func (p *pair) destColumns() string {
	columns := versionColumns("d")
	for _, i := range append(append([]int{}, p.key...), p.compared...) {
		columns += ", d." + ident(p.shape.Columns[i].Name)
	}
	return columns
}

// digestColumns are the compared columns of each side, in one order.
func (p *pair) digestColumns() (source, dest string) {
	source = list(p.compared, ", ", func(_, i int) string {
		o := p.origins[i]
		switch {
		case o.Column >= 0:
			return "s." + ident(p.From.Columns[o.Column].Name)
		case o.Constant.Format == change.Null:
			return "NULL::text"
		}
		return literal(p.constants[i]) + "::text"
	})
	dest = list(p.compared, ", ", func(_, i int) string { return "d." + ident(p.shape.Columns[i].Name) })
	return source, dest
}

// expected gives what the destination should hold of the source's rows that a query gives.
func (c *comparison) expected(ctx context.Context, s *session, q *query, emit func(*record)) error {
	e, err := newExpectation(c.o.Source, c.p)
	if err != nil {
		return err
	}
	b := &slab{v: c.Verifier, p: c.p, emit: emit}
	err = s.each(ctx, q, func(values [][]byte) error {
		return e.add(ctx, b, values[versionWidth:], versionOf(values))
	})
	if err != nil {
		return err
	}
	return b.flush(ctx)
}

// present gives the destination's rows that a query gives.
func (c *comparison) present(ctx context.Context, s *session, q *query, emit func(*record)) error {
	keys := len(c.p.key)
	return s.each(ctx, q, func(values [][]byte) error {
		r := &record{version: versionOf(values), sums: make([]uint64, len(c.p.compared))}
		values = values[versionWidth:]
		key := make([]string, keys)
		for n := range key {
			key[n] = string(values[n])
		}
		r.key = joined(key)
		for n := range r.sums {
			r.sums[n] = sum(values[keys+n])
		}
		emit(r)
		return nil
	})
}

// sourceSpan reads a range of the source.
func (c *comparison) sourceSpan(ctx context.Context, g span, emit func(*record)) error {
	s := c.sourceSide(c.rows, c.p)
	return c.rows.snapshot(ctx, c.p.source.lock, func() error {
		return c.expected(ctx, c.rows, s.within(s.from(ask("SELECT "+c.p.sourceColumns())), g), emit)
	})
}

// findSource gives the source's rows with keys of the destination, and a position at or behind all that the
// snapshot sees.
func (c *comparison) findSource(ctx context.Context, keys []string) (found map[string]*record, at change.LSN, err error) {
	found = map[string]*record{}
	s := c.sourceSide(c.rows, c.p)
	// Where a key's column is of another type at the destination, its text is that type's.
	typ := func(i int) string {
		from, to := c.p.source.columns[c.p.keyed(i).Name], c.p.dest.columns[c.p.shape.Columns[i].Name]
		if to.base != "" && to.base != from.base {
			return to.base
		}
		return from.base
	}
	err = c.rows.snapshot(ctx, c.p.source.lock, func() error {
		if at, err = c.sourcePosition(ctx); err != nil {
			return err
		}
		q := s.byKey(ask("SELECT "+c.p.sourceColumns()), c.p.arrange(keys, s.order), typ)
		return c.expected(ctx, c.rows, q, func(r *record) { found[r.key] = r })
	})
	return found, at, err
}

// findDest gives the destination's rows with keys, and the place that they stand at.
func (c *comparison) findDest(ctx context.Context, keys []string) (found map[string]*record, at place, err error) {
	found = map[string]*record{}
	s := c.destSide(c.dest, c.p)
	at, err = c.destSnapshot(ctx, func() error {
		q := s.byKey(ask("SELECT "+c.p.destColumns()), c.p.arrange(keys, s.order), s.typ)
		return c.present(ctx, c.dest, q, func(r *record) { found[r.key] = r })
	})
	return found, at, err
}

// destSnapshot runs f, unless the table is absent, in one snapshot of a complete destination with its place.
func (c *comparison) destSnapshot(ctx context.Context, f func() error) (at place, err error) {
	err = c.complete(ctx, func() error {
		return c.dest.snapshot(ctx, c.p.dest.lock, func() error {
			if at, err = c.progress(ctx, c.dest); err != nil || c.p.dest.oid == "" {
				return err
			}
			return f()
		})
	})
	return at, err
}

// arrange puts the values of keys in another order.
func (p *pair) arrange(keys []string, order []int) []bound {
	at := make([]int, len(order))
	for n, i := range order {
		for m, k := range p.key {
			if k == i {
				at[n] = m
			}
		}
	}
	out := make([]bound, len(keys))
	for n, key := range keys {
		values := parted(key)
		out[n] = make(bound, len(at))
		for m, from := range at {
			out[n][m] = values[from]
		}
	}
	return out
}
