package load

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ordersTable is the table of the benchmarks: eight columns, as an order book has them.
const ordersTable = `create table if not exists orders (
	id bigint primary key,
	customer_id bigint,
	status text,
	amount numeric(12,2),
	note text,
	active boolean,
	created_at timestamptz,
	updated_at timestamptz)`

// orderValues gives the columns of order i. %[1]d is the seed: hashint8extended makes of it and i the
// same values on every server, so rows need not travel from here. About a third of the notes is null,
// the others have 20 to 60 characters, and a row takes some 120 bytes.
const orderValues = `i,
	1 + (hashint8extended(i, %[1]d) & 9223372036854775807) %% 100000,
	(array['new','paid','paid','packed','shipped','shipped','delivered','delivered','delivered','cancelled'])
		[1 + (hashint8extended(i, %[1]d + 1) & 9223372036854775807) %% 10],
	round(((hashint8extended(i, %[1]d + 2) & 9223372036854775807) %% 10000000) / 10000.0 ^ 1.1 + 0.99, 2),
	case (hashint8extended(i, %[1]d + 3) & 9223372036854775807) %% 6
		when 0 then 'please ring twice, the bell is quiet ' || i
		when 1 then 'gift, no invoice in the parcel'
		when 2 then 'deliver to the neighbour at number ' || i %% 300 || ' if nobody opens'
		when 3 then 'Größe getauscht, siehe Anfrage ' || i / 7 end,
	(hashint8extended(i, %[1]d + 4) & 9223372036854775807) %% 10 > 0,
	timestamptz '2024-01-01 00:00:00+00' + i * interval '37.000411 seconds',
	timestamptz '2026-01-01 00:00:00+00' + (hashint8extended(i, %[1]d + 5) & 9223372036854775807) %% 31536000 * interval '1 second'`

// CreateOrders creates the table orders where it is absent.
func CreateOrders(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, ordersTable); err != nil {
		return fmt.Errorf("cannot create the table orders: %w", err)
	}
	return nil
}

// Orders says which rows a loader writes and how. Equal Orders write equal rows.
type Orders struct {
	Seed   uint32
	First  int64 // id of the first row
	Rows   int64
	Commit int64 // rows of a transaction; 0: all in one
}

// Insert inserts the rows. One transaction of all is the benchmarks' load A, 1,000 rows a
// transaction is B.
func (o Orders) Insert(ctx context.Context, conn *pgx.Conn) error {
	values := fmt.Sprintf(orderValues, o.Seed)
	return o.loop(ctx, conn, "insert orders",
		"insert into orders select "+values+" from generate_series(low, high) as i")
}

// Update changes status, amount and updated_at of the rows, which must exist. One row a transaction is
// load C, 1,000 is D.
func (o Orders) Update(ctx context.Context, conn *pgx.Conn) error {
	return o.loop(ctx, conn, "update orders",
		`update orders set status = case status when 'delivered' then 'returned' else 'delivered' end,
			amount = amount + 0.01, updated_at = updated_at + interval '1 second'
			where id between low and high`)
}

// InsertOne inserts order id in a transaction of its own. The connection remembers the statement.
func (o Orders) InsertOne(ctx context.Context, conn *pgx.Conn, id int64) error {
	_, err := conn.Exec(ctx, "insert into orders select "+fmt.Sprintf(orderValues, o.Seed)+" from (select $1::bigint as i) as this", id)
	return err
}

// Many says which rows of the tables orders_0 to orders_{Tables-1} a loader writes: each transaction fills ten of them,
// and the next one the ten after.
type Many struct {
	Orders
	Tables int64
}

// spread is how many tables a transaction of Many touches.
const spread = 10

// Create creates the tables where they are absent.
func (m Many) Create(ctx context.Context, conn *pgx.Conn) error {
	for i := range m.Tables {
		sql := strings.Replace(ordersTable, "exists orders", fmt.Sprintf("exists orders_%d", i), 1)
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("cannot create the table orders_%d: %w", i, err)
		}
	}
	return nil
}

// Insert inserts the rows.
func (m Many) Insert(ctx context.Context, conn *pgx.Conn) error {
	values := fmt.Sprintf(orderValues, m.Seed)
	return m.loop(ctx, conn, "insert orders", fmt.Sprintf(`for t in 0..%[1]d loop
				execute format('insert into orders_%%s select ', (low / %[2]d * %[3]d + t) %% %[4]d)
					|| $v$%[5]s$v$ || format(' from generate_series(%%s::bigint, %%s::bigint) as i where i %%%% %[3]d = %%s', low, high, t);
			end loop`, spread-1, max(m.Commit, 1), spread, m.Tables, values))
}

// loop runs the statement over pieces of Commit rows, with a commit after each, inside the server: the
// commits do not wait for the disk (synchronous_commit off), so that the writer is faster than any
// reader.
func (o Orders) loop(ctx context.Context, conn *pgx.Conn, what, statement string) error {
	step := o.Commit
	if step == 0 {
		step = max(o.Rows, 1)
	}
	sql := fmt.Sprintf(`do $load$ declare low bigint := %d; high bigint; last bigint := %d; begin
		while low <= last loop
			high := least(low + %d, last);
			%s;
			commit;
			low := high + 1;
		end loop; end $load$`, o.First, o.First+o.Rows-1, step-1, statement)
	if _, err := conn.Exec(ctx, "set synchronous_commit = off"); err != nil {
		return fmt.Errorf("cannot %s: %w", what, err)
	}
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("cannot %s: %w", what, err)
	}
	return nil
}
