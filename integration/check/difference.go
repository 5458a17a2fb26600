package check

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

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
