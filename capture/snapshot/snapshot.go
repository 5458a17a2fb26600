// Package snapshot copies whole tables as they were at one moment: that of an exported snapshot,
// usually the one of a new replication slot. What enters is the snapshot's name and the tables; what
// leaves are their rows as changes with op Read, table after table. Rows are streamed: no more than
// one is held.
package snapshot

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// Table is one table to copy.
type Table struct {
	*change.Table
	// Only leaves out tables that inherit from it. It is not set for a partitioned table, whose
	// partitions are its rows.
	Only bool
}

// Reader holds a connection whose transaction sees the snapshot.
type Reader struct{ conn *pgconn.PgConn }

// Open starts the transaction. The exporting connection must not have run another command yet; after
// Open it may. The Reader owns conn.
func Open(ctx context.Context, conn *pgconn.PgConn, name string) (*Reader, error) {
	r := &Reader{conn: conn}
	// With row security a role reads what its policies let it see, and says nothing: off makes it an
	// error instead.
	sql := "SET row_security = off; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '" +
		strings.ReplaceAll(name, "'", "''") + "'"
	if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
		r.Close()
		return nil, fmt.Errorf("cannot open the snapshot %s: %w", name, err)
	}
	return r, nil
}

// Close ends the transaction and the connection.
func (r *Reader) Close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a connection in the middle of a COPY is not asked to finish it
	_ = r.conn.Close(ctx)
}

// Copy gives every row of the table to emit, whose change is valid during the call. It returns emit's
// error as it stands.
func (r *Reader) Copy(ctx context.Context, t Table, emit func(*change.Change) error) error {
	p := newParser(t.Table, emit)
	_, err := r.conn.CopyTo(ctx, p, copySQL(t))
	switch {
	case p.emitted != nil:
		return p.emitted
	case err != nil:
		return fmt.Errorf("cannot copy %s: %w", t.QualifiedName(), err)
	}
	return p.end()
}

// copySQL reads each column in binary, or where its binary form is not known by the type's output
// function, as the log does: a cast to text may be another function. IS NULL holds for a row of NULLs
// too, which is a value.
func copySQL(t Table) string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = pgx.Identifier{c.Name}.Sanitize()
		if !avro.Binary(c.Type) {
			columns[i] = "CASE num_nulls(" + columns[i] + ") WHEN 0 THEN format('%s', " + columns[i] + ") END"
		}
	}
	from := pgx.Identifier{t.Schema, t.Name}.Sanitize()
	if t.Only {
		from = "ONLY " + from
	}
	return "COPY (SELECT " + strings.Join(columns, ", ") + " FROM " + from + ") TO STDOUT (FORMAT binary)"
}
