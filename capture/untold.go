package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

// storage names the files that hold a table's rows now, its partitions' included. A rewrite gives it new
// ones, and forgets what rows older than a column have in it (pg_attribute.attmissingval).
func (c *catalogue) storage(ctx context.Context, oid uint32) (string, error) {
	var files string
	if err := c.source.ask.QueryRow(ctx, storageQuery+"$1", oid).Scan(&files); err != nil {
		return "", fmt.Errorf("cannot ask for the files of table %d: %w", oid, err)
	}
	return files, nil
}

// storageQuery is followed by a table's OID.
const storageQuery = `
		SELECT coalesce(string_agg(c.oid || ':' || c.relfilenode, ',' ORDER BY c.oid), '')
		FROM pg_class r, LATERAL (SELECT r.oid AS relid UNION SELECT relid FROM pg_partition_tree(r.oid)) p JOIN pg_class c ON c.oid = p.relid AND c.relkind = 'r'
		WHERE r.oid = `

// rewritten tells whether a table got new files between two looks: itself, or a partition that it had and
// has. What is not known may have been.
func rewritten(before, now string) bool {
	had := map[string]string{}
	for _, f := range strings.Split(before, ",") {
		oid, file, _ := strings.Cut(f, ":")
		had[oid] = file
	}
	for _, f := range strings.Split(now, ",") {
		oid, file, _ := strings.Cut(f, ":")
		if was, known := had[oid]; known && was != file {
			return true
		}
	}
	return before == ""
}

// look describes a table. agreed is its storage when the description is of the same moment and the
// catalogue has the message's shape, so that a rewrite after it can be told; files is the storage as it is.
func (c *catalogue) look(ctx context.Context, m *pgoutput.Relation, before *version, inDoubt bool) (t *change.Table, agreed, files string, err error) {
	first, err := c.storage(ctx, m.OID)
	if err != nil {
		return nil, "", "", err
	}
	t, today, err := c.describe(ctx, m, before, inDoubt)
	if err != nil {
		return nil, "", "", err
	}
	files, err = c.storage(ctx, m.OID)
	if today && first == files {
		agreed = files
	}
	return t, agreed, files, err
}

// markUntold marks the columns that are new in a version, have no value for older rows by the catalogue, and
// may have had one: the table was rewritten since the version before was looked at. What its rows have
// there decides.
func (c *catalogue) markUntold(ctx context.Context, v, before *version, storage string) error {
	if before == nil {
		return nil
	}
	for i := range v.Table.Columns {
		col := &v.Table.Columns[i]
		if was := before.find(col.Attnum); was >= 0 {
			col.Untold = before.Table.Columns[was].Untold
			continue
		}
		if col.Expression == nil && !rewritten(before.Storage, storage) || col.Attnum == 0 || col.Missing != nil {
			continue
		}
		filled, err := c.filled(ctx, v.Table.OID, col.Attnum)
		if err != nil {
			return err
		}
		if filled {
			col.Untold = v.From
		}
	}
	return nil
}

// filledTimeout bounds the look at a table's rows; the stream waits for it.
const filledTimeout = 5 * time.Second

// filled tells whether a row has a value in a column, or whether that takes too long to say.
func (c *catalogue) filled(ctx context.Context, oid uint32, attnum int16) (bool, error) {
	const q = `
		SELECT format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NOT NULL)', a.attrelid::regclass, a.attname)
		FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum = $2 AND NOT a.attisdropped`
	var look string
	err := c.source.ask.QueryRow(ctx, q, oid, attnum).Scan(&look)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil // the column is gone, and what rows had in it
	}
	if err == nil {
		short, cancel := context.WithTimeout(ctx, filledTimeout)
		defer cancel()
		var filled bool
		err = c.source.ask.QueryRow(short, look).Scan(&filled)
		if err == nil || short.Err() != nil && ctx.Err() == nil {
			return filled || err != nil, nil
		}
	}
	return false, fmt.Errorf("cannot ask what rows of table %d have in column %d: %w", oid, attnum, err)
}

// untold lists the columns of which a version is the first to have an untold past.
func (v *version) untold() (names []string) {
	for i := range v.Table.Columns {
		if v.Table.Columns[i].Untold == v.From {
			names = append(names, v.Table.Columns[i].Name)
		}
	}
	return names
}
