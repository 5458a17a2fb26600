package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
)

// Reader reads on one connection.
type Reader struct {
	conn *pgconn.PgConn
	// Shift is added to the positions of views.
	Shift change.LSN
}

// NewReader prepares a connection, which is the Reader's from then on.
func NewReader(ctx context.Context, conn *pgconn.PgConn) (*Reader, error) {
	// With row security a role reads what its policies let it see, and says nothing: off makes it an
	// error instead.
	if _, err := conn.Exec(ctx, "SET row_security = off").ReadAll(); err != nil {
		return nil, fmt.Errorf("cannot prepare a connection that reads tables: %w", err)
	}
	return &Reader{conn: conn}, nil
}

// Close ends the transaction and the connection.
func (r *Reader) Close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a connection in the middle of a COPY is not asked to finish it
	_ = r.conn.Close(ctx)
}

// begin of a reading's transaction. The lock keeps TRUNCATE and rewrites out, which are not safe for
// snapshots that are older; LOCK TABLE takes no snapshot itself, so that it is not older.
const begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

// Read reads the rows of a range, in one transaction, whose snapshot fits approves of: until it does,
// another one is taken. limit bounds the bytes, 0 does not; after ErrTooLarge the connection is of no use any
// more.
func (r *Reader) Read(ctx context.Context, t Table, g Range, limit int64, fits func(*View) bool) (*Chunk, error) {
	pause := time.Millisecond
	for {
		c, err := r.try(ctx, t, g, limit, fits)
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// try gives neither chunk nor error when the snapshot did not fit.
func (r *Reader) try(ctx context.Context, t Table, g Range, limit int64, fits func(*View) bool) (c *Chunk, err error) {
	defer func() {
		if c == nil {
			_, back := r.conn.Exec(context.WithoutCancel(ctx), "ROLLBACK").ReadAll()
			err = errors.Join(err, back)
		}
	}()
	v, err := r.open(ctx, t)
	if err != nil || !fits(v) {
		return nil, err
	}
	if err := r.checkShape(ctx, t); err != nil {
		return nil, err
	}
	read := &Chunk{View: v, table: t.Table, limit: limit}
	if _, err := r.conn.CopyTo(ctx, read, t.copySQL(t.conditions(g)...)); err != nil {
		if read.full {
			return nil, ErrTooLarge
		}
		return nil, fmt.Errorf("cannot read %s: %w", t.QualifiedName(), err)
	}
	if _, err := r.conn.Exec(ctx, "COMMIT").ReadAll(); err != nil {
		return nil, err
	}
	return read, nil
}

// open begins the transaction: first the lock, then the snapshot.
func (r *Reader) open(ctx context.Context, t Table) (*View, error) {
	replayed, err := scalar(ctx, r.conn, replayedSQL)
	if err != nil {
		return nil, err
	}
	if _, err := r.conn.Exec(ctx, begin+"; LOCK TABLE "+t.from()+" IN ACCESS SHARE MODE").ReadAll(); err != nil {
		return nil, t.explain(err)
	}
	v, err := lookView(ctx, r.conn, replayed)
	if err == nil {
		v.Shift(r.Shift)
	}
	return v, err
}

// explain tells a table that is gone from other errors.
func (t Table) explain(err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && (pe.Code == "42P01" || pe.Code == "3F000") {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return fmt.Errorf("cannot lock %s for reading: %w", t.QualifiedName(), err)
}

// checkShape compares the catalogue, as the snapshot sees it, with the table: types by what travels, so that a
// domain is its base.
func (r *Reader) checkShape(ctx context.Context, t Table) error {
	sql := `WITH RECURSIVE base(attnum, attname, oid, mod) AS (
		SELECT a.attnum, a.attname, a.atttypid, a.atttypmod FROM pg_attribute a
		WHERE a.attrelid = ` + literal(t.plain()) + `::regclass AND a.attnum > 0 AND NOT a.attisdropped
		UNION ALL SELECT b.attnum, b.attname, d.typbasetype, d.typtypmod FROM base b JOIN pg_type d ON d.oid = b.oid AND d.typtype = 'd')
		SELECT b.attname, b.oid, b.mod, (` + literal(t.plain()) + `::regclass)::oid FROM base b
		JOIN pg_type d ON d.oid = b.oid AND d.typtype <> 'd'`
	results, err := r.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return t.explain(err)
	}
	have := map[string]string{}
	for _, row := range results[0].Rows {
		have[string(row[0])] = string(row[1]) + " " + string(row[2])
		if oid := string(row[3]); oid != strconv.FormatUint(uint64(t.OID), 10) {
			return fmt.Errorf("%w: another table has its name", ErrGone)
		}
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		if have[c.Name] != fmt.Sprint(c.Type.OID, c.Type.Mod) {
			return fmt.Errorf("%w: column %s of %s is of another type, or gone", ErrChanged, c.Name, t.QualifiedName())
		}
	}
	return nil
}

// plain gives the table's name in SQL.
func (t Table) plain() string { return strings.TrimPrefix(t.from(), "ONLY ") }

// Whole reads all of a table, as an exported snapshot sees it. begin is called before the first row; emit gets
// each, valid during the call. Their errors are given as they stand. A table that was emptied or rewritten
// between the snapshot and the lock is ErrChanged: it would look empty.
func (r *Reader) Whole(ctx context.Context, t Table, snapshot string, start func() error, emit func(*change.Change) error) error {
	err := r.whole(ctx, t, snapshot, start, emit)
	end := "COMMIT"
	if err != nil {
		end = "ROLLBACK"
	}
	_, ended := r.conn.Exec(context.WithoutCancel(ctx), end).ReadAll()
	if err == nil {
		err = ended
	}
	return err
}

func (r *Reader) whole(ctx context.Context, t Table, snapshot string, start func() error, emit func(*change.Change) error) error {
	sql := begin + "; SET TRANSACTION SNAPSHOT " + literal(snapshot) + "; LOCK TABLE " + t.from() + " IN ACCESS SHARE MODE"
	if _, err := r.conn.Exec(ctx, sql).ReadAll(); err != nil {
		return t.explain(err)
	}
	if err := r.checkShape(ctx, t); err != nil {
		return err
	}
	if err := r.checkFiles(ctx, t); err != nil {
		return err
	}
	if err := start(); err != nil {
		return err
	}
	p := newParser(t.Table, emit)
	_, err := r.conn.CopyTo(ctx, p, t.copySQL(t.conditions(Range{})...))
	switch {
	case p.emitted != nil:
		return p.emitted
	case err != nil:
		return fmt.Errorf("cannot read %s: %w", t.QualifiedName(), err)
	}
	return p.end()
}

// checkFiles compares the files of a table as the snapshot knows them with those that there are.
func (r *Reader) checkFiles(ctx context.Context, t Table) error {
	name := literal(t.plain()) + "::regclass"
	same, err := scalar(ctx, r.conn, `SELECT coalesce(bool_and(c.relfilenode = pg_relation_filenode(c.oid)), true)
		FROM pg_class c WHERE c.relfilenode <> 0 AND c.oid IN (SELECT `+name+` UNION SELECT relid FROM pg_partition_tree(`+name+`))`)
	if err != nil {
		return err
	}
	if same != "t" {
		return fmt.Errorf("%w: %s was emptied or rewritten after the snapshot was taken", ErrChanged, t.QualifiedName())
	}
	return nil
}
