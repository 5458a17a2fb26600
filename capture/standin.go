package capture

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// standIn is an empty temporary table with the name, columns, constraints, indexes and replica
// identity of a captured one. It lives in a transaction.
type standIn struct {
	source *source // within tx
	tx     pgx.Tx
	of     *relation

	oid      uint32
	filenode uint32
	// rewritten says that the table's file is another than when it was first looked at.
	rewritten bool
}

func (i *standIn) sql() string { return quoteTable("pg_temp", i.of.Name) }

// make creates the table. Indexes are made one by one, since LIKE would give them other names than
// those that a statement uses.
func (i *standIn) make(ctx context.Context) error {
	sql := fmt.Sprintf("SET LOCAL lock_timeout = %d; SET LOCAL statement_timeout = %d; CREATE TEMPORARY TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES)",
		lockTimeout.Milliseconds(), statementTimeout.Milliseconds(), quote(i.of.Name), i.of.sql())
	if _, err := i.tx.Exec(ctx, sql); err != nil {
		return err
	}
	if err := i.tx.QueryRow(ctx, "SELECT $1::regclass::oid", i.sql()).Scan(&i.oid); err != nil {
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
	return nil
}

// parts gives the statements that add what LIKE leaves out. A foreign key is represented by a check
// of its name that always holds, because a temporary table may not refer to others.
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
		FROM pg_class c WHERE c.oid = $1 AND c.relreplident <> 'd'`
	rows, err := i.tx.Query(ctx, q, i.of.OID, i.sql())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// state describes the stand-in as it is now, under the name of the table that it stands for.
func (i *standIn) state(ctx context.Context) (*TableState, error) {
	const q = `SELECT c.oid, c.relname, c.relreplident::text, ` + hasIdentity + `, ` + blind + `, pg_relation_filenode(c.oid) FROM pg_class c WHERE c.oid = $1`
	r := relation{Schema: i.of.Schema, Bare: i.of.Bare, Kind: i.of.Kind}
	var file uint32
	if err := i.tx.QueryRow(ctx, q, i.oid).Scan(&r.OID, &r.Name, &r.Identity, &r.HasIdentity, &r.Blind, &file); err != nil {
		return nil, fmt.Errorf("cannot look at the stand-in for %s: %w", i.of.sql(), err)
	}
	i.rewritten = i.filenode != 0 && i.filenode != file
	i.filenode = file
	state, err := i.source.state(ctx, &r)
	if err == nil {
		state.Table.OID = i.of.OID
	}
	return state, err
}
