package check

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Phantoms asks the source what became of each transaction that the topics have records of, and finds those that it did
// not commit. Only the server that committed them knows: after a gap the log may be another's.
func Phantoms(ctx context.Context, dsn string, l *Log) ([]Violation, error) {
	first := map[int64]*Record{}
	var xids []int64
	for i := range l.Records {
		r := &l.Records[i]
		head, _, _ := strings.Cut(r.Group, ":")
		xid, err := strconv.ParseInt(head, 10, 64)
		if err != nil || first[xid] != nil {
			continue // copied rows
		}
		first[xid] = r
		xids = append(xids, xid)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the source for its transactions: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `select x, pg_xact_status(x::text::xid8) from unnest($1::bigint[]) x where not pg_is_in_recovery()`, xids)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the source for its transactions: %w", err)
	}
	var found []Violation
	var xid int64
	var status *string // null: too long ago
	_, err = pgx.ForEachRow(rows, []any{&xid, &status}, func() error {
		if status != nil && *status != "committed" {
			found = append(found, violation("phantom", "transaction %d is %s at the source and has %s", xid, *status, first[xid]))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot ask the source for its transactions: %w", err)
	}
	return found, nil
}

// Gaps tells whether the log has lost its continuity somewhere.
func (l *Log) Gaps() bool { return len(l.gaps()) > 0 }
