package postgres

import (
	"context"
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// exactRows is up to how many rows a table is counted; beyond it is estimated. Counting so many takes some ten
// milliseconds.
const exactRows = 100_000

var (
	_ sink.Counter = (*Sink)(nil)
	_ sink.Sweeper = (*Sink)(nil)
)

// CountRows implements sink.Counter. A large table is estimated as the planner does it: the rows of a page, as
// ANALYZE or VACUUM found them, times the pages of now, partitions together. Without such statistics it is taken
// for one that was counted to the end.
func (s *Sink) CountRows(ctx context.Context, tb *change.Table) (int64, error) {
	name := qualified(tb.Schema, tb.Name)
	n, err := s.countRows(ctx, name)
	if err == nil {
		return n, nil
	}
	err = s.wrap("count the rows of", name, err)
	if dropErr := s.rollback(ctx); dropErr != nil {
		s.disconnect()
	}
	return 0, err
}

func (s *Sink) countRows(ctx context.Context, name string) (int64, error) {
	if s.conn == nil {
		return 0, refuse("", "it was not resumed")
	}
	if err := s.flush(ctx); err != nil {
		return 0, err
	}
	if have, err := s.present(ctx, name); err != nil || !have {
		return 0, err
	}
	n, err := s.number(ctx, "SELECT pg_catalog.count(*) FROM (SELECT FROM "+name+" LIMIT "+strconv.Itoa(exactRows)+") AS counted")
	if err != nil || n < exactRows {
		return n, err
	}
	estimate, err := s.number(ctx, `WITH RECURSIVE part AS (
			SELECT pg_catalog.to_regclass($1)::oid AS oid
			UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part ON i.inhparent = part.oid)
		SELECT coalesce(sum(c.reltuples::float8 / c.relpages * pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::float8), 0)::bigint
		FROM part JOIN pg_catalog.pg_class c ON c.oid = part.oid WHERE c.relkind = 'r' AND c.reltuples > 0 AND c.relpages > 0`, name)
	return max(n, estimate), err
}

func (s *Sink) number(ctx context.Context, sql string, args ...any) (int64, error) {
	rows, err := s.query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(rows[0][0]), 10, 64)
}

// strayKeys is how many keys Strays gives.
const strayKeys = 10

// Strays implements sink.Sweeper.
func (s *Sink) Strays(ctx context.Context, c *change.Change) (rows int64, keys []string, err error) {
	if rows, keys, err = s.strays(ctx, c); err == nil {
		return rows, keys, nil
	}
	err = s.wrap("count what a repair removes of", qualified(c.Table.Schema, c.Table.Name), err)
	if dropErr := s.rollback(ctx); dropErr != nil {
		s.disconnect()
	}
	return 0, nil, err
}

func (s *Sink) strays(ctx context.Context, c *change.Change) (int64, []string, error) {
	if s.conn == nil {
		return 0, nil, refuse("", "it was not resumed")
	}
	s.begin()
	t, err := s.target(ctx, c.Table)
	if err != nil {
		return 0, nil, err
	}
	k, err := s.keeping(ctx, t, c.Keep)
	if err == nil {
		err = s.flush(ctx)
	}
	if err != nil || k.kept == "" {
		return 0, nil, err
	}
	where, args := t.straysSQL(c, k, nil)
	from := " FROM " + t.name + " AS d" + where
	r := s.conn.ExecParams(ctx, "SELECT pg_catalog.count(*)"+from, args, nil, nil, nil).Read()
	if r.Err != nil {
		return 0, nil, r.Err
	}
	n, err := strconv.ParseInt(string(r.Rows[0][0]), 10, 64)
	if err != nil || n == 0 {
		return 0, nil, err
	}
	key := list(t.key, " || ' ' || ", func(_, i int) string { return literal(t.cols[i].name+"=") + " || d." + t.cols[i].quoted + "::text" })
	r = s.conn.ExecParams(ctx, "SELECT "+key+from+" LIMIT "+strconv.Itoa(strayKeys), args, nil, nil, nil).Read()
	var keys []string
	for _, row := range r.Rows {
		keys = append(keys, string(row[0]))
	}
	return n, keys, r.Err
}
