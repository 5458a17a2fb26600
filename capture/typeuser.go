package capture

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// typeUser is a captured table with columns of a type.
type typeUser struct {
	table   *relation
	columns []typedColumn
}

type typedColumn struct {
	number int
	direct bool
}

// users finds the captured tables that have a type in them, through domains, arrays, ranges and composite
// types too.
func (st *stage) users(ctx context.Context, t *userType) (users []*typeUser, err error) {
	const q = `
		WITH RECURSIVE u(oid, direct) AS (
			SELECT $1::oid, true
			UNION SELECT x.oid, u.direct AND x.direct FROM u JOIN (
				SELECT typbasetype, oid, true FROM pg_type WHERE typtype = 'd'
				UNION ALL SELECT oid, typarray, false FROM pg_type WHERE typarray <> 0
				UNION ALL SELECT rngsubtype, rngtypid, false FROM pg_range
				UNION ALL SELECT a.atttypid, c.reltype, false FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.reltype <> 0 AND a.attnum > 0 AND NOT a.attisdropped
			) AS x(of, oid, direct) ON x.of = u.oid)
		SELECT a.attrelid, a.attnum, bool_or(u.direct) FROM u JOIN pg_attribute a ON a.atttypid = u.oid JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped GROUP BY a.attrelid, a.attnum ORDER BY a.attrelid, a.attnum`
	rows, err := st.tx.Query(ctx, q, t.OID)
	if err != nil {
		return nil, fmt.Errorf("cannot ask where type %s is used: %w", t.sql(), err)
	}
	type use struct {
		Table  uint32
		Number int
		Direct bool
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[use])
	if err != nil {
		return nil, fmt.Errorf("cannot ask where type %s is used: %w", t.sql(), err)
	}
	for _, u := range all {
		r := st.byOID(u.Table)
		if r == nil || !st.captures(r) {
			continue
		}
		if n := len(users); n == 0 || users[n-1].table != r {
			users = append(users, &typeUser{table: r})
		}
		last := users[len(users)-1]
		last.columns = append(last.columns, typedColumn{u.Number, u.Direct})
	}
	return users, nil
}
