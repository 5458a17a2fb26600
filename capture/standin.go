package capture

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// standIn is an empty temporary table with the name, columns, constraints, indexes, partition key and
// replica identity of a table. It lives in a transaction.
type standIn struct {
	source *source // within tx
	tx     pgx.Tx
	of     *relation
	name   string // in pg_temp

	oid  uint32
	was  *TableState // the table itself; nil when a statement made it
	last int         // number of the last column that it ever had
	now  *TableState

	filenode uint32
	// rewritten says that the last statement made PostgreSQL write the table anew, forgotten that one did:
	// the catalogue no longer says what rows older than a column have.
	rewritten, forgotten bool
}

func (i *standIn) sql() string { return quoteTable("pg_temp", i.name) }

// make creates the table. Indexes are made one by one, since LIKE would give them other names than
// those that a statement uses.
func (i *standIn) make(ctx context.Context) (err error) {
	if i.was, err = i.source.state(ctx, i.of); err != nil {
		return err
	}
	var name, partitioned string // the name that it has at the source still
	const q = `SELECT c.relnatts, c.oid::regclass::text, coalesce(' PARTITION BY ' || pg_get_partkeydef(c.oid), '') FROM pg_class c WHERE c.oid = $1`
	if err := i.tx.QueryRow(ctx, q, i.of.OID).Scan(&i.last, &name, &partitioned); err != nil {
		return err
	}
	sql := fmt.Sprintf("CREATE TEMPORARY TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES)%s", quote(i.name), name, partitioned)
	if _, err := i.tx.Exec(ctx, sql); err != nil {
		return err
	}
	statements, err := i.parts(ctx)
	if err != nil {
		return err
	}
	for _, sql := range statements {
		if _, err := i.tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return i.look(ctx)
}

// parts gives the statements that add what LIKE leaves out. A foreign key is represented by a check
// of its name that always holds, because a temporary table may not refer to others. A partition shows
// what a statement does to rows.
func (i *standIn) parts(ctx context.Context) ([]string, error) {
	const q = `
		SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', $2::text, conname,
			CASE contype WHEN 'f' THEN 'CHECK (true)' ELSE pg_get_constraintdef(oid) END)
		FROM pg_constraint WHERE conrelid = $1 AND contype IN ('p', 'u', 'x', 'f')
		UNION ALL
		SELECT replace(replace(pg_get_indexdef(x.indexrelid), format(' ON ONLY %I.%I ', n.nspname, c.relname), ' ON ' || $2 || ' '),
			format(' ON %I.%I ', n.nspname, c.relname), ' ON ' || $2 || ' ')
		FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE x.indrelid = $1 AND x.indisvalid
		AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.conrelid = x.indrelid AND k.contype IN ('p', 'u', 'x'))
		UNION ALL
		SELECT format('ALTER TABLE %s REPLICA IDENTITY ', $2::text) || CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
			ELSE (SELECT format('USING INDEX %I', k.relname) FROM pg_index x JOIN pg_class k ON k.oid = x.indexrelid WHERE x.indrelid = c.oid AND x.indisreplident) END
		FROM pg_class c WHERE c.oid = $1 AND c.relreplident <> 'd'
		UNION ALL
		SELECT format('CREATE TEMPORARY TABLE %s PARTITION OF %s ', $3::text, $2::text)
			|| CASE partstrat WHEN 'h' THEN 'FOR VALUES WITH (MODULUS 1, REMAINDER 0)' ELSE 'DEFAULT' END
		FROM pg_partitioned_table WHERE partrelid = $1`
	rows, err := i.tx.Query(ctx, q, i.of.OID, i.sql(), i.probe())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// probe is a partition of ours.
func (i *standIn) probe() string {
	return quoteTable("pg_temp", "sluice_probe_"+strconv.FormatUint(uint64(i.of.OID), 10))
}

// look describes the stand-in as it is now, under the name of the table that it stands for.
func (i *standIn) look(ctx context.Context) error {
	const q = `SELECT c.oid, c.relname, c.relkind::text, c.relreplident::text, ` + hasIdentity + `, ` + blind + `,
		coalesce((SELECT max(pg_relation_filenode(p.relid)) FROM pg_partition_tree(c.oid) p WHERE p.isleaf), pg_relation_filenode(c.oid), 0)
		FROM pg_class c WHERE c.oid = to_regclass($1)`
	r := *i.of
	var file uint32
	if err := i.tx.QueryRow(ctx, q, i.sql()).Scan(&r.OID, &i.name, &i.of.Kind, &i.of.Identity, &i.of.HasIdentity, &i.of.Blind, &file); err != nil {
		return fmt.Errorf("cannot look at the stand-in for %s: %w", i.of.sql(), err)
	}
	i.oid = r.OID
	i.rewritten = i.filenode != 0 && i.filenode != file
	i.forgotten = i.forgotten || i.rewritten
	i.filenode = file
	r.Kind, r.Identity, r.HasIdentity, r.Blind = i.of.Kind, i.of.Identity, i.of.HasIdentity, i.of.Blind
	now, err := i.source.state(ctx, &r)
	if err != nil {
		return err
	}
	now.Table.OID = i.of.OID
	if i.was != nil {
		i.renumber(now)
	}
	i.now = now
	return nil
}

// renumber gives the columns the numbers that they have, or would get, in the table itself, and what its
// older rows have in them.
func (i *standIn) renumber(now *TableState) {
	old := len(i.was.Columns)
	number := func(n int) int {
		if n <= old {
			return i.was.Columns[n-1].Number
		}
		return i.last + n - old
	}
	for k := range now.Columns {
		c := &now.Columns[k]
		if c.Number <= old {
			c.Filled = c.Filled || i.was.Columns[c.Number-1].Filled && !i.forgotten
		}
		c.Number = number(c.Number)
	}
	for k := range now.Table.Columns {
		c := &now.Table.Columns[k]
		c.Attnum = int16(number(int(c.Attnum))) // a table has at most 1600
		for j := range i.was.Table.Columns {
			if was := &i.was.Table.Columns[j]; was.Attnum == c.Attnum && !i.forgotten {
				c.Missing = was.Missing
			}
		}
	}
}
