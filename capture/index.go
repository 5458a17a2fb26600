package capture

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// index rehearses what is done to indexes: it matters where one is the identity.
func (st *stage) index(ctx context.Context, d *ddl, out *Rehearsal) error {
	if d.kind == "create index" {
		r, err := st.find(d.names[0])
		if err != nil {
			return err
		}
		unique := ""
		if d.has("unique") {
			unique = "UNIQUE "
		}
		return st.onIndexed(ctx, r, out, func(in *standIn) string {
			return "CREATE " + unique + "INDEX " + d.index + " ON " + in.sql() + " " + d.tail
		})
	}
	for _, n := range d.names {
		if err := st.indexNamed(ctx, n, d, out); err != nil {
			return err
		}
	}
	return nil
}

func (st *stage) indexNamed(ctx context.Context, n objectName, d *ddl, out *Rehearsal) error {
	r, err := st.indexed(ctx, n)
	if err != nil {
		return err
	}
	if r == nil && d.has("if") {
		out.Notes = append(out.Notes, "there is no index "+n.String()+": nothing happens")
		return nil
	}
	if r == nil {
		return unfit("there is no index %s at the source", n)
	}
	return st.onIndexed(ctx, r, out, func(in *standIn) string {
		if d.kind == "drop index" {
			return "DROP INDEX " + quoteTable("pg_temp", n.name)
		}
		return "ALTER INDEX " + quoteTable("pg_temp", n.name) + " " + d.tail
	})
}

func (st *stage) onIndexed(ctx context.Context, r *relation, out *Rehearsal, sql func(*standIn) string) error {
	if !st.captures(r) && !r.Partition {
		out.Notes = append(out.Notes, st.apart(r))
		return nil
	}
	return st.with(ctx, r, out, func(in *standIn) (string, map[string]bool) { return sql(in), nil })
}

// indexed gives the table of an index, one that a statement made included; nil when there is none.
func (st *stage) indexed(ctx context.Context, n objectName) (*relation, error) {
	const q = `SELECT x.indrelid, s.nspname FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid JOIN pg_namespace s ON s.oid = c.relnamespace
		WHERE c.relname = $1 AND (s.nspname = $2 OR $2 = '' AND s.nspname !~ '^pg_' OR c.relnamespace = pg_my_temp_schema())
		ORDER BY c.relnamespace = pg_my_temp_schema()`
	rows, err := st.tx.Query(ctx, q, n.name, n.schema)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for index %s: %w", n, err)
	}
	type found struct {
		OID    uint32
		Schema string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[found])
	if err != nil {
		return nil, fmt.Errorf("cannot ask for index %s: %w", n, err)
	}
	var tables []*relation
	for _, f := range all {
		if r := st.ofIndex(f.OID); r != nil {
			tables = append(tables, r)
		}
	}
	return st.preferred(tables), nil
}

// ofIndex gives a table by its own OID or that of its stand-in.
func (st *stage) ofIndex(oid uint32) *relation {
	for _, in := range st.standIns {
		if in.oid == oid {
			return in.of
		}
	}
	return st.byOID(oid)
}

// preferred gives a captured table before others.
func (st *stage) preferred(tables []*relation) *relation {
	for _, r := range tables {
		if st.captures(r) {
			return r
		}
	}
	if len(tables) == 0 {
		return nil
	}
	return tables[0]
}
