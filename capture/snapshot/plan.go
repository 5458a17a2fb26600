package snapshot

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Estimate is a table cut into ranges, and about how large it is.
type Estimate struct {
	Ranges      []Range
	Rows, Bytes int64
}

// perChunk is how many places of the table are looked at for each range.
const perChunk = 8

// maxSample bounds them: beyond that ranges differ more in size, and those that are too large are split.
const maxSample = 200_000

// Plan cuts a table into ranges of about chunkBytes. The table's size is that of the statistics, and the ends
// of the ranges come from a sample of its keys.
func Plan(ctx context.Context, conn *pgconn.PgConn, t Table, chunkBytes int64) (Estimate, error) {
	var e Estimate
	pages, err := e.measure(ctx, conn, t)
	if err != nil {
		return e, err
	}
	e.Ranges = []Range{{}}
	n := e.Bytes / max(chunkBytes, 1)
	if n < 1 || len(t.Key) == 0 {
		return e, nil
	}
	wanted := min(n*perChunk, maxSample)
	keys, err := sample(ctx, conn, t, wanted, pages)
	if err != nil {
		return e, err
	}
	e.Ranges = cut(keys, int(n)+1)
	return e, nil
}

// cut makes up to n ranges whose ends are spread evenly over sorted keys.
func cut(keys []Bound, n int) []Range {
	out := []Range{{}}
	for i := 1; i < n && len(keys) > 0; i++ { // a table of pages without rows gives no keys
		at := keys[min(len(keys)-1, i*len(keys)/n):]
		if len(at) == 0 || at[0].equal(out[len(out)-1].After) {
			continue
		}
		out[len(out)-1].UpTo = at[0]
		out = append(out, Range{After: at[0]})
	}
	return out
}

func (b Bound) equal(o Bound) bool {
	if len(b) != len(o) {
		return false
	}
	for i := range b {
		if b[i] != o[i] {
			return false
		}
	}
	return true
}

// measure asks for the size of a table with its partitions and out-of-line values.
func (e *Estimate) measure(ctx context.Context, conn *pgconn.PgConn, t Table) (pages int64, err error) {
	name := literal(t.plain()) + "::regclass"
	results, err := conn.Exec(ctx, `SELECT coalesce(sum(pg_table_size(c.oid)), 0), coalesce(sum(pg_relation_size(c.oid) / current_setting('block_size')::int), 0),
		coalesce(sum(CASE WHEN c.reltuples > 0 AND c.relpages > 0 THEN c.reltuples / c.relpages * pg_relation_size(c.oid) / current_setting('block_size')::int
			WHEN c.reltuples >= 0 AND c.relpages > 0 THEN 0 ELSE pg_relation_size(c.oid) / 100 END), 0)::bigint
		FROM pg_class c WHERE c.relkind IN ('r', 'm') AND c.oid IN (SELECT `+name+` UNION SELECT relid FROM pg_partition_tree(`+name+`))`).ReadAll()
	if err != nil {
		return 0, t.explain(err)
	}
	row := results[0].Rows[0]
	for i, to := range []*int64{&e.Bytes, &pages, &e.Rows} {
		if *to, err = strconv.ParseInt(string(row[i]), 10, 64); err != nil {
			return 0, err
		}
	}
	return pages, nil
}

// sample gives keys from places spread over the table, in order, one for each page that is looked at.
func sample(ctx context.Context, conn *pgconn.PgConn, t Table, wanted, pages int64) ([]Bound, error) {
	// Pages that are taken whole hold many keys; of a table of few pages more than one is needed.
	share := min(100, 100*float64(wanted)/float64(max(pages, 1)))
	from := fmt.Sprintf("%s TABLESAMPLE SYSTEM (%g) REPEATABLE (1)", t.from(), share)
	one := ""
	if share < 100 {
		one = "DISTINCT ON (tableoid, (ctid::text::point)[0]) "
	}
	inner := "SELECT " + one + t.keyColumns() + " FROM " + from
	if one != "" {
		inner += " ORDER BY tableoid, (ctid::text::point)[0], random()"
	}
	sql := "SELECT " + t.keyTexts() + " FROM (" + inner + ") s ORDER BY " + t.keyColumns()
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("cannot sample the keys of %s: %w", t.QualifiedName(), err)
	}
	return bounds(results[0].Rows), nil
}

func bounds(rows [][][]byte) []Bound {
	out := make([]Bound, len(rows))
	for i, row := range rows {
		for _, v := range row {
			out[i] = append(out[i], string(v))
		}
	}
	return out
}

// Split halves a range by the middle of its keys. One that holds no two keys is given back as it is.
func Split(ctx context.Context, conn *pgconn.PgConn, t Table, r Range) ([]Range, error) {
	where := ""
	if c := t.conditions(r); len(c) > 0 {
		where = " WHERE " + strings.Join(c, " AND ")
	}
	sql := "SELECT " + t.keyTexts() + " FROM " + t.from() + where + " ORDER BY " + t.keyColumns() +
		" LIMIT 1 OFFSET (SELECT greatest((count(*) - 1) / 2, 0) FROM " + t.from() + where + ")"
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("cannot split a range of %s: %w", t.QualifiedName(), err)
	}
	middle := bounds(results[0].Rows)
	if len(middle) == 0 || middle[0].equal(r.UpTo) {
		return []Range{r}, nil
	}
	more, err := scalar(ctx, conn, "SELECT EXISTS (SELECT FROM "+t.from()+" WHERE "+strings.Join(t.conditions(Range{middle[0], r.UpTo}), " AND ")+")")
	if err != nil {
		return nil, err
	}
	if more != "t" {
		return []Range{r}, nil
	}
	return []Range{{r.After, middle[0]}, {middle[0], r.UpTo}}, nil
}
