package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
)

// View is what a snapshot sees.
type View struct {
	at change.LSN
	// Of a server that writes: pg_current_snapshot().
	xmin, xmax uint64
	running    []uint64 // between them, not ended; ascending
	// Of a standby, whose snapshots do not say it: what was replayed before the snapshot was taken; 0 on a
	// server that writes.
	replayed change.LSN
}

// Shift moves the view's positions: those of a log that began again stand above those of the one before.
func (v *View) Shift(by change.LSN) {
	v.at += by
	if v.replayed != 0 {
		v.replayed += by
	}
}

// At gives a position of the log: every transaction that the snapshot sees has ended at or before it.
func (v *View) At() change.LSN { return v.at }

// Sees tells whether the snapshot sees a transaction that has committed, by its number (of the top level, as
// in the log) and the end of its commit record.
func (v *View) Sees(xid uint32, end change.LSN) bool {
	if v.replayed != 0 {
		return end <= v.replayed
	}
	return v.ended(v.whole(xid))
}

// whole gives the number with its epoch: of all that have these 32 bits the one nearest to xmax.
func (v *View) whole(xid uint32) uint64 {
	return v.xmax + uint64(int64(int32(xid-uint32(v.xmax))))
}

func (v *View) ended(xid uint64) bool {
	if xid < v.xmin {
		return true
	}
	_, is := slices.BinarySearch(v.running, xid)
	return xid < v.xmax && !is
}

// Outlives tells whether every transaction that ran when the earlier view was taken has ended in this one.
func (v *View) Outlives(earlier *View) bool {
	for _, xid := range earlier.running {
		if !v.ended(xid) {
			return false
		}
	}
	return true
}

// String gives the form that ParseView reads.
func (v *View) String() string {
	running := make([]string, len(v.running))
	for i, x := range v.running {
		running[i] = strconv.FormatUint(x, 10)
	}
	return fmt.Sprintf("%d:%d:%s %s %s", v.xmin, v.xmax, strings.Join(running, ","), v.at, v.replayed)
}

// ParseView reads pg_current_snapshot(), the position of the log after it was taken, and that which a standby
// had replayed before, 0/0 on a server that writes.
func ParseView(s string) (*View, error) {
	parts := strings.Fields(s)
	if len(parts) != 3 {
		return nil, fmt.Errorf("%q is not a snapshot with two positions", s)
	}
	v := &View{}
	bounds := strings.SplitN(parts[0], ":", 3)
	if len(bounds) != 3 {
		return nil, fmt.Errorf("%q is not a snapshot", parts[0])
	}
	var errs [4]error
	v.xmin, errs[0] = strconv.ParseUint(bounds[0], 10, 64)
	v.xmax, errs[1] = strconv.ParseUint(bounds[1], 10, 64)
	v.at, errs[2] = change.ParseLSN(parts[1])
	v.replayed, errs[3] = change.ParseLSN(parts[2])
	for _, x := range strings.FieldsFunc(bounds[2], func(r rune) bool { return r == ',' }) {
		n, err := strconv.ParseUint(x, 10, 64)
		if err != nil {
			return nil, err
		}
		v.running = append(v.running, n)
	}
	slices.Sort(v.running)
	return v, errors.Join(errs[:]...)
}

// viewSQL asks what the snapshot at hand sees. The function of the log's position runs after the snapshot was
// taken. A standby knows two: what it has received may be more than what it has replayed.
const viewSQL = `SELECT pg_current_snapshot()::text || ' ' || ` + PositionSQL + ` || ' '`

// PositionSQL is an expression of type pg_lsn: a position of the log at or behind all that the statement sees.
const PositionSQL = `CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_insert_lsn() END`

// replayedSQL asks how far a standby has replayed, before a snapshot is taken.
const replayedSQL = `SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE '0/0' END`

// LookView gives what a snapshot taken now sees.
func LookView(ctx context.Context, conn *pgconn.PgConn) (*View, error) {
	replayed, err := scalar(ctx, conn, replayedSQL)
	if err != nil {
		return nil, err
	}
	return lookView(ctx, conn, replayed)
}

func lookView(ctx context.Context, conn *pgconn.PgConn, replayed string) (*View, error) {
	s, err := scalar(ctx, conn, viewSQL+"|| '"+replayed+"'")
	if err != nil {
		return nil, fmt.Errorf("cannot ask what a snapshot sees: %w", err)
	}
	return ParseView(s)
}

// scalar gives the one value of a query.
func scalar(ctx context.Context, conn *pgconn.PgConn, sql string) (string, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	if len(results) == 0 || len(results[0].Rows) != 1 {
		return "", fmt.Errorf("no answer to: %s", sql)
	}
	return string(results[0].Rows[0][0]), nil
}
