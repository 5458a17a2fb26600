package capture

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/retry"
)

const (
	// slotTries is how often a slot is made again because tables were altered meanwhile.
	slotTries = 8
	slotPause = 300 * time.Millisecond
)

// makeSlot makes the slot at a time when no table is altered. PostgreSQL (seen in 15 and 18) does not track
// transactions that commit while it waits for those that were open when the making began; the slot then reads
// what they altered as it was before, until another transaction alters something: tables that were rewritten
// end it with "could not map filenode", again and again, and others come in the shape of before.
func (c *Capture) makeSlot(ctx context.Context, l *link) (newSlot, error) {
	b := retry.Backoff{First: slotPause, Most: lastWait}
	for try := 1; ; try++ {
		before, err := c.source.nextXID(ctx)
		if err != nil {
			return newSlot{}, err
		}
		slot, err := l.createSlot(ctx, c.cfg.Slot, c.source.syncsSlots())
		if err != nil {
			return newSlot{}, err
		}
		altered, err := c.source.alteredSince(ctx, before)
		switch {
		case err != nil:
			return newSlot{}, err
		case len(altered) == 0:
			return slot, nil
		case try == slotTries:
			c.log.Warn("tables are altered all the time, also while the slot was made: PostgreSQL may be unable to decode what was written to them just now; it would be told",
				"tables", strings.Join(altered, ", "))
			return slot, nil
		}
		c.log.Info("making the slot again: tables were altered meanwhile, of which it might not know", "tables", strings.Join(altered, ", "))
		if err := l.dropSlot(ctx, c.cfg.Slot); err != nil {
			return newSlot{}, err
		}
		if err := retry.Wait(ctx, b.Next()); err != nil {
			return newSlot{}, err
		}
	}
}

func (l *link) dropSlot(ctx context.Context, name string) error {
	if _, err := l.pg.Exec(ctx, "DROP_REPLICATION_SLOT "+quote(name)).ReadAll(); err != nil {
		return fmt.Errorf("cannot drop slot %s on %s: %w", name, l.where, err)
	}
	return nil
}

// nextXID gives a transaction id that was not given yet.
func (s *source) nextXID(ctx context.Context) (xid int64, err error) {
	err = s.pool.QueryRow(ctx, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").Scan(&xid)
	if err != nil {
		err = fmt.Errorf("cannot ask %s for its transactions: %w", s.where, err)
	}
	return xid, err
}

// alteredSince names some of the tables whose definition or file is of a transaction from xid on. Temporary
// tables are not: they are not in the log.
func (s *source) alteredSince(ctx context.Context, xid int64) ([]string, error) {
	const q = `
		WITH recent AS (
			SELECT oid AS relid, xmin AS x FROM pg_class
			UNION ALL SELECT attrelid, xmin FROM pg_attribute
			UNION ALL SELECT indrelid, xmin FROM pg_index
			UNION ALL SELECT prrelid, xmin FROM pg_publication_rel)
		SELECT DISTINCT c.oid::regclass::text FROM recent r JOIN pg_class c ON c.oid = r.relid
		WHERE c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'm', 't')
			AND r.x::text::bigint >= 3 AND (r.x::text::bigint - $1) & 4294967295 < 2147483648
		ORDER BY 1 LIMIT 5`
	rows, err := s.pool.Query(ctx, q, xid&0xffffffff)
	if err == nil {
		var names []string
		if names, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			return names, nil
		}
	}
	return nil, fmt.Errorf("cannot ask %s which tables were altered: %w", s.where, err)
}
