package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

var _ sink.Reacher = (*Sink)(nil)

// path leads from a table to one that a deletion reaches, by foreign keys, each from the table before.
type path []reference

// Reach implements sink.Reacher. A table that the sink's role may not read is not counted.
func (s *Sink) Reach(ctx context.Context, tb *change.Table, ids []change.Row) ([]sink.Reached, error) {
	reached, err := s.reach(ctx, tb, ids)
	if err == nil {
		return reached, nil
	}
	err = s.wrap("count what deletions take with them from", qualified(tb.Schema, tb.Name), err)
	if dropErr := s.rollback(ctx); dropErr != nil {
		s.disconnect()
	}
	return nil, err
}

func (s *Sink) reach(ctx context.Context, tb *change.Table, ids []change.Row) (all []sink.Reached, err error) {
	if s.conn == nil {
		return nil, refuse("", "it was not resumed")
	}
	if t := s.ready(tb); t != nil && t.paths != nil && len(t.paths) == 0 {
		return nil, nil // as with most tables
	}
	s.begin()
	t, err := s.target(ctx, tb)
	if err != nil {
		return nil, err
	}
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	if t.paths == nil {
		references, err := s.references(ctx, t.name)
		if err != nil {
			return nil, err
		}
		t.paths = s.o.paths(t.name, references)
	}
	for _, p := range t.paths {
		last := &p[len(p)-1]
		n, err := s.reachBy(ctx, t, p, ids)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			all = append(all, sink.Reached{Schema: last.schema, Name: last.name, Rows: n})
		}
	}
	return all, nil
}

// paths lists the ways from a table to those of which rows go or are changed with its own, without tables from which
// the sink deletes by itself: their deletions come from the source, and are looked at then.
func (o *Options) paths(from string, references []reference) []path {
	all := []path{}
	var walk func(from string, way path)
	walk = func(from string, way path) {
		for _, r := range references {
			own := o.ours(r.schema, r.name)
			turns := slices.ContainsFunc(way, func(w reference) bool { return w.table() == r.table() })
			if r.to != from || !r.follows() || !r.readable || turns || own != nil && own.Deletes.removes() {
				continue
			}
			next := append(slices.Clone(way), r)
			all = append(all, next)
			if r.action == actCascade {
				walk(r.table(), next)
			}
		}
	}
	walk(from, nil)
	return all
}

// reachBy counts the rows at the end of a path from rows of t, up to countLimit.
func (s *Sink) reachBy(ctx context.Context, t *target, p path, ids []change.Row) (n int64, err error) {
	if ids == nil {
		return s.number(ctx, p.countSQL(t.name, "true"))
	}
	key := list(t.key, ", ", func(_, k int) string { return t.cols[k].quoted })
	c := s.chunkOf(t, t.key, typed)
	count := func() error {
		args, formats := c.args(nil)
		sql := p.countSQL(t.name, "("+key+") IN (SELECT "+t.casts(t.key, c.as)+" FROM "+t.source(t.key, c.as)+")")
		r := s.conn.ExecParams(ctx, sql, args, nil, formats, nil).Read()
		if r.Err != nil {
			return r.Err
		}
		more, err := strconv.ParseInt(string(r.Rows[0][0]), 10, 64)
		n += more
		c.reset()
		return err
	}
	for _, id := range ids {
		if err := t.check(id, "the key"); err != nil {
			return 0, err
		}
		if c.add(id); c.full() {
			if err := count(); err != nil {
				return 0, err
			}
		}
	}
	if len(c.rows) == 0 {
		return n, nil
	}
	return n, count()
}

// countSQL counts the rows at the end of a path from the rows of a table for which a condition holds.
func (p path) countSQL(from, where string) string {
	for i := range p {
		where = "(" + strings.Join(p[i].columns, ", ") + ") IN (SELECT " + strings.Join(p[i].refers, ", ") + " FROM " + from + " WHERE " + where + ")"
		from = p[i].table()
	}
	return "SELECT pg_catalog.count(*) FROM (SELECT FROM " + from + " WHERE " + where + " LIMIT " + strconv.Itoa(countLimit) + ") AS counted"
}
