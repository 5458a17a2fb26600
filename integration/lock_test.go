package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/integration/harness"
)

// What the source does arrives at a destination that is locked, a TRUNCATE too, through a kill of the sink, while somebody else
// tries to write the same rows: synced columns cannot be written, columns of the destination's own can, and keep what
// was written. Teardown leaves nothing of the lock.
func TestLockedDestination(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 80))
	d := newDeployment(t, drawn(seed), []string{"public.customers", "public.orders"}, func(text string) string {
		return strings.Replace(text, "type: postgres\n", "type: postgres\n    lock: enforce\n", 1)
	})
	d.exec("create table customers (id int primary key, email text, name text)", "create table orders (id int primary key, customer int, total numeric(10,2))",
		"insert into customers select g, 'c' || g, 'name' from generate_series(1, 100) g", "insert into orders select g, g % 100, g / 7.0 from generate_series(1, 100) g")
	execAt(t, d.destination, "create table customers (id int primary key, email text, name text, note text)")
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	clerk := harness.Unique("clerk")
	execAt(t, d.destination, "create role "+clerk+" login", "grant all on customers, orders to "+clerk)
	asClerk := strings.Replace(d.destination, "postgres@", clerk+"@", 1)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	meddling := &meddler{random: rand.New(rand.NewPCG(seed, 81))}
	done := make(chan error, 1)
	go func() { done <- meddling.run(ctx, asClerk) }()
	for i := range 200 {
		d.exec(orderStatement(random))
		switch i {
		case 70:
			sink.Kill()
			sink = d.start("sink", "copy")
		case 120:
			d.exec("truncate orders", "insert into orders select g, g % 100, 1 from generate_series(1, 50) g")
		}
	}
	d.caughtUp(60 * time.Second)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	meddling.report(t)
	d.same("public.customers", "public.orders")

	execAt(t, asClerk, "update customers set note = 'mine'")
	d.exec("update customers set email = 'new' || id", "delete from orders where id <= 10")
	d.caughtUp(60 * time.Second)
	d.same("public.customers", "public.orders")
	d.expectCount("select count(*) from customers where note is distinct from 'mine'", 0)
	for _, dsn := range []string{asClerk, d.destination} { // the sink's own role, too
		if err := attempt(t.Context(), dsn, "update customers set email = 'x'"); err == nil || err.Message != "customers.email comes from "+d.name+": change it there" {
			t.Errorf("to write a synced column is answered %v", err)
		}
	}
	d.stop(sink)
	d.stop(capture)
	if err := attempt(t.Context(), asClerk, "delete from orders"); err == nil {
		t.Error("while the sink is stopped its rows can be deleted")
	}

	if out, status := d.command("teardown", "--yes"); status != 0 {
		t.Errorf("teardown: exit %d with\n%s", status, out)
	}
	d.expectCount("select count(*) from pg_namespace where nspname = 'sluice'", 0)
	d.expectCount("select count(*) from pg_trigger where not tgisinternal", 0)
	d.expectCount(`select count(*) from pg_proc where proname like 'lock\_%'`, 0)
	if n := scan[int](t, d.source, "select (select count(*) from pg_replication_slots where database = current_database()) + (select count(*) from pg_publication)"); n != 0 {
		t.Errorf("%d slots and publications are left at the source", n)
	}
	d.same("public.customers", "public.orders")
	execAt(t, asClerk, "update customers set email = 'free'", "truncate orders")
}

// orderStatement gives something that happens in a shop.
func orderStatement(r *rand.Rand) string {
	c, o := 1+r.IntN(150), 1+r.IntN(300)
	switch r.IntN(7) {
	case 0:
		return fmt.Sprintf("insert into customers values (%d, 'again', 'name') on conflict (id) do update set email = 'once more'", c)
	case 1:
		return fmt.Sprintf("delete from customers where id between %d and %[1]d + 2", c)
	case 2:
		return fmt.Sprintf("update customers set id = %d where id = %d and not exists (select from customers where id = %[1]d)", 1+r.IntN(150), c)
	case 3:
		return fmt.Sprintf("delete from orders where id = %d", o)
	case 4:
		return fmt.Sprintf("begin; update customers set name = 'customer of %d' where id = %d; update orders set total = total + 1, customer = %[2]d where id > %[1]d; commit", o, c)
	case 5:
		return fmt.Sprintf("update customers set email = 'c%d' where id %% 10 = %d", o, c%10)
	}
	return fmt.Sprintf("insert into orders select g, %d, g from generate_series(%d, %[2]d + 5) g on conflict do nothing", c, o)
}

// meddler writes to rows that a sink keeps.
type meddler struct {
	random         *rand.Rand
	refused, edits int
	wrong          []string
}

// meddlings are writes to synced columns, with an id.
var meddlings = []string{
	"update customers set email = 'meddled' where id = %d", "update customers set name = null, note = 'meddled' where id = %d",
	"update customers set id = -id where id = %d", "insert into customers (id) values (-%d)",
	"insert into customers (id, note) values (%d, 'meddled') on conflict (id) do update set email = excluded.note",
	"delete from customers where id = %d", "update orders set total = 0 where id = %d", "delete from orders where id = %d", "truncate orders -- %d",
}

// run writes to synced columns and to others in turn until ctx ends.
func (m *meddler) run(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	for ctx.Err() == nil {
		sql := fmt.Sprintf(meddlings[m.random.IntN(len(meddlings))], 1+m.random.IntN(150))
		tag, err := conn.Exec(ctx, sql)
		var refusal *pgconn.PgError
		switch {
		case errors.As(err, &refusal) && refusal.Code == "42501" && refusal.ConstraintName == "sluice_lock":
			m.refused++
		case ctx.Err() == nil && (err != nil || tag.RowsAffected() > 0 || strings.HasPrefix(sql, "truncate")):
			m.wrong = append(m.wrong, fmt.Sprintf("%s: %s, %v", sql, tag, err))
		}
		tag, err = conn.Exec(ctx, "update customers set note = 'seen' where id = $1", 1+m.random.IntN(150))
		m.edits += int(tag.RowsAffected())
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("a column of the destination's own cannot be written: %w", err)
		}
		pause(ctx, 2*time.Millisecond)
	}
	return nil
}

func (m *meddler) report(t *testing.T) {
	t.Helper()
	t.Logf("%d writes to synced columns were refused, %d to others were not", m.refused, m.edits)
	for i, w := range m.wrong {
		if i == 10 {
			t.Fatal("and more")
		}
		t.Error("not refused by the lock: " + w)
	}
	if m.refused < 20 || m.edits < 20 {
		t.Error("too few to say anything")
	}
}

// attempt runs a statement and gives the server's refusal, nil for none.
func attempt(ctx context.Context, dsn, sql string) *pgconn.PgError {
	conn, err := pgx.Connect(ctx, dsn)
	if err == nil {
		defer conn.Close(context.Background())
		_, err = conn.Exec(ctx, sql)
	}
	var refusal *pgconn.PgError
	errors.As(err, &refusal)
	return refusal
}
