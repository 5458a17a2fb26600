package capture

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// truncate says which captured tables a TRUNCATE empties, partitions and, with CASCADE, tables that
// refer to it included.
func (st *stage) truncate(ctx context.Context, d *ddl, out *Rehearsal) error {
	var named []*relation
	for _, n := range d.names {
		r, err := st.find(n)
		if err != nil {
			return err
		}
		named = append(named, r)
	}
	all, err := st.emptied(ctx, named, true)
	if err != nil {
		return err
	}
	if !d.uses("cascade") {
		below, err := st.emptied(ctx, named, false)
		if err != nil {
			return err
		}
		if len(all) > len(below) {
			return unfit("PostgreSQL answers: cannot truncate a table referenced in a foreign key constraint (truncate %s at the same time, or use TRUNCATE ... CASCADE)", nameOf(other(all, below)))
		}
	}
	for _, r := range all {
		if err := st.emptyOne(ctx, r, named, all, out); err != nil {
			return err
		}
	}
	return nil
}

// other gives the first of all that is not among some.
func other(all, some []*relation) *relation {
	return all[slices.IndexFunc(all, func(r *relation) bool { return !slices.Contains(some, r) })]
}

// emptied gives tables, those that inherit from them and, where asked, those that refer to them.
func (st *stage) emptied(ctx context.Context, named []*relation, referring bool) ([]*relation, error) {
	const q = `WITH RECURSIVE t(oid) AS (
			SELECT unnest($1::oid[])
			UNION SELECT x.oid FROM t JOIN (
				SELECT inhparent, inhrelid FROM pg_inherits
				UNION ALL SELECT confrelid, conrelid FROM pg_constraint WHERE contype = 'f' AND $2) AS x(of, oid) ON x.of = t.oid)
		SELECT oid FROM t`
	var from []uint32
	for _, r := range named {
		from = append(from, r.OID)
	}
	rows, err := st.tx.Query(ctx, q, from, referring)
	if err != nil {
		return nil, fmt.Errorf("cannot ask what refers to a table: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
	if err != nil {
		return nil, fmt.Errorf("cannot ask what refers to a table: %w", err)
	}
	var all []*relation
	for _, oid := range found {
		if r := st.byOID(oid); r != nil {
			all = append(all, r)
		}
	}
	return all, nil
}

func (st *stage) emptyOne(ctx context.Context, r *relation, named, all []*relation, out *Rehearsal) error {
	if st.captures(r) {
		c, err := st.asItIs(ctx, r)
		c.Emptied = true
		if !slices.Contains(named, r) {
			c.Notes = append(c.Notes, "it is emptied with the tables that the statement names")
		}
		out.Tables = append(out.Tables, c)
		return err
	}
	if r.Partition {
		if root, err := st.root(ctx, r); err != nil || slices.Contains(all, root) {
			return err
		}
		return st.leave(ctx, r, "truncate", out)
	}
	if slices.Contains(named, r) {
		out.Notes = append(out.Notes, st.apart(r))
	}
	return nil
}
