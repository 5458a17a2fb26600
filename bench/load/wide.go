package load

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// wideColumns is how many columns the table wide has, its key among them.
const wideColumns = 50

// wideKinds are the columns of the table wide beside its key, in turn: type and value of row i. %[1]d is the seed, %[2]d the
// column's number.
var wideKinds = []struct{ name, value string }{
	{"bigint", "hashint8extended(i, %[1]d + %[2]d)"},
	{"text", "'value ' || (hashint8extended(i, %[1]d + %[2]d) & 1048575)"},
	{"numeric(12,2)", "round((hashint8extended(i, %[1]d + %[2]d) & 134217727) / 100.0, 2)"},
	{"timestamptz", "timestamptz '2026-01-01 00:00:00+00' + (hashint8extended(i, %[1]d + %[2]d) & 16777215) * interval '1 second'"},
	{"integer", "(hashint8extended(i, %[1]d + %[2]d) & 65535)::integer"},
	{"boolean", "hashint8extended(i, %[1]d + %[2]d) & 1 = 1"},
	{"text", "case hashint8extended(i, %[1]d + %[2]d) & 3 when 0 then 'paid in advance' when 1 then 'on account' end"},
}

// Wide says which rows of the table wide, of 50 columns, a loader writes and how.
type Wide struct{ Orders }

// Create creates the table where it is absent.
func (Wide) Create(ctx context.Context, conn *pgx.Conn) error {
	columns := []string{"id bigint primary key"}
	for i := range wideColumns - 1 {
		columns = append(columns, fmt.Sprintf("c%d %s", i+1, wideKinds[i%len(wideKinds)].name))
	}
	if _, err := conn.Exec(ctx, "create table if not exists wide ("+strings.Join(columns, ", ")+")"); err != nil {
		return fmt.Errorf("cannot create the table wide: %w", err)
	}
	return nil
}

// Insert inserts the rows.
func (w Wide) Insert(ctx context.Context, conn *pgx.Conn) error {
	values := []string{"i"}
	for i := range wideColumns - 1 {
		values = append(values, fmt.Sprintf(wideKinds[i%len(wideKinds)].value, w.Seed, i))
	}
	return w.loop(ctx, conn, "insert wide rows",
		"insert into wide select "+strings.Join(values, ", ")+" from generate_series(low, high) as i")
}
