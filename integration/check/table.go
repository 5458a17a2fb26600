package check

import (
	"context"
	"errors"
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

// Difference says how a pair differs.
type Difference struct {
	Table                       Table
	SourceRows, DestinationRows int64
	// OnlySource and OnlyDestination are the first rows, in text order, that the other side has not, or
	// has fewer of. A changed row shows once in each.
	OnlySource, OnlyDestination []string
}

func (d Difference) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %d rows at the source, %d at the destination", d.Table.Source, d.SourceRows, d.DestinationRows)
	for _, row := range d.OnlySource {
		fmt.Fprintf(&text, "\n  only source:      %s", shorten(row))
	}
	for _, row := range d.OnlyDestination {
		fmt.Fprintf(&text, "\n  only destination: %s", shorten(row))
	}
	return text.String()
}

// rowText is how much of a row a message shows.
const rowText = 300

func shorten(row string) string {
	if len(row) <= rowText {
		return row
	}
	return fmt.Sprintf("%s… (%d bytes)", row[:rowText], len(row))
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

// shown is how many differing rows of each side a Difference holds.
const shown = 5

// search walks both sides in order until it has enough.
func (d *Difference) search(ctx context.Context, source, destination *pgx.Conn) error {
	sorted := func(name string) string {
		return `select r from (` + d.Table.rows(name) + `) as t order by r collate "C"`
	}
	left, err := source.Query(ctx, sorted(d.Table.Source))
	if err != nil {
		return err
	}
	defer left.Close()
	right, err := destination.Query(ctx, sorted(d.Table.Destination))
	if err != nil {
		return err
	}
	defer right.Close()
	a, b := cursor{rows: left}, cursor{rows: right}
	a.next()
	b.next()
	for (a.more || b.more) && len(d.OnlySource)+len(d.OnlyDestination) < 2*shown {
		switch {
		case !b.more || a.more && a.row < b.row:
			d.OnlySource = append(d.OnlySource, a.row)
			a.next()
		case !a.more || b.row < a.row:
			d.OnlyDestination = append(d.OnlyDestination, b.row)
			b.next()
		default:
			a.next()
			b.next()
		}
	}
	d.OnlySource = d.OnlySource[:min(shown, len(d.OnlySource))]
	d.OnlyDestination = d.OnlyDestination[:min(shown, len(d.OnlyDestination))]
	return errors.Join(a.err, b.err)
}

// cursor is a result's current row.
type cursor struct {
	rows pgx.Rows
	row  string
	more bool
	err  error
}

func (c *cursor) next() {
	c.more = c.rows.Next()
	c.err = c.rows.Err()
	if c.more {
		c.err = c.rows.Scan(&c.row)
		c.more = c.err == nil
	}
}
