package check

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/change"
)

// Table is a pair of tables that must hold the same rows.
type Table struct {
	Source, Destination string   // as SQL writes them; an empty Destination is named as the source
	Columns             []string // compared columns; none: all of the source's
}

// Same builds pairs of equal names.
func Same(names ...string) []Table {
	var tables []Table
	for _, name := range names {
		tables = append(tables, Table{Source: name})
	}
	return tables
}

// Tables compares each pair by the md5 of its sorted rows, and looks for the differing rows where these
// are unequal. Nothing may be under way.
func Tables(ctx context.Context, sourceDSN, destinationDSN string, tables ...Table) ([]Difference, error) {
	source, err := open(ctx, sourceDSN)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the source: %w", err)
	}
	defer source.Close(context.WithoutCancel(ctx))
	destination, err := open(ctx, destinationDSN)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the destination: %w", err)
	}
	defer destination.Close(context.WithoutCancel(ctx))
	var found []Difference
	for _, t := range tables {
		d, err := compare(ctx, source, destination, t)
		if err != nil {
			return nil, fmt.Errorf("cannot compare %s: %w", t.Source, err)
		}
		if d != nil {
			found = append(found, *d)
		}
	}
	return found, nil
}

// open connects with settings under which equal values have equal text.
func open(ctx context.Context, dsn string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	maps.Copy(cfg.RuntimeParams, change.SessionSettings)
	return pgx.ConnectConfig(ctx, cfg)
}

func compare(ctx context.Context, source, destination *pgx.Conn, t Table) (*Difference, error) {
	if t.Destination == "" {
		t.Destination = t.Source
	}
	if len(t.Columns) == 0 {
		columns, err := columnsOf(ctx, source, t.Source)
		if err != nil {
			return nil, err
		}
		t.Columns = columns
	}
	d := &Difference{Table: t}
	left, err := fingerprint(ctx, source, t.rows(t.Source), &d.SourceRows)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	right, err := fingerprint(ctx, destination, t.rows(t.Destination), &d.DestinationRows)
	if err != nil {
		return nil, fmt.Errorf("destination: %w", err)
	}
	if left == right {
		return nil, nil
	}
	return d, d.search(ctx, source, destination)
}

func columnsOf(ctx context.Context, conn *pgx.Conn, table string) ([]string, error) {
	rows, err := conn.Query(ctx, `select attname from pg_attribute
		where attrelid = $1::text::regclass and attnum > 0 and not attisdropped order by attnum`, table)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// rows is a query of the compared columns of each row as text.
func (t Table) rows(name string) string {
	var columns []string
	for _, c := range t.Columns {
		columns = append(columns, pgx.Identifier{c}.Sanitize())
	}
	return fmt.Sprintf(`select row(%s)::text as r from %s`, strings.Join(columns, ", "), name)
}

func fingerprint(ctx context.Context, conn *pgx.Conn, rows string, count *int64) (sum string, err error) {
	err = conn.QueryRow(ctx, `select count(*), coalesce(md5(string_agg(md5(r), '' order by r collate "C")), '')
		from (`+rows+`) as t`).Scan(count, &sum)
	return sum, err
}
