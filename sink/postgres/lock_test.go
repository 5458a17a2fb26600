package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
)

// customers is what the sink fills; the destination table has columns of its own beside it.
var customers = table("customers", "id integer", "email text", "doc json", "name text")

const createCustomers = `CREATE TABLE customers (id int PRIMARY KEY, email text, doc json, name text, note text, region int)`

// locked gives a destination with a lock, filled by a role of its own, which is not a superuser.
func locked(t *testing.T, version int, lock postgres.LockMode, create string) (*database, sink.Config) {
	t.Helper()
	d := newDatabase(t, harness.SharedPostgres(t, version))
	d.lock = lock
	d.exec(t, create)
	d.role(t, "filler")
	d.exec(t, "GRANT CREATE ON DATABASE "+d.name(t)+" TO filler; GRANT CREATE ON SCHEMA public TO filler")
	for _, r := range d.rows(t, "SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')") {
		d.exec(t, "ALTER TABLE "+*r["name"]+" OWNER TO filler")
	}
	d.admin, d.dsn = d.dsn, withUser(t, d.dsn, "filler", "sesame")
	return d, hard("customers")
}

// role makes a login that the test's end removes from this database.
func (d *database) role(t *testing.T, name string) {
	t.Helper()
	d.exec(t, `DO $$ BEGIN CREATE ROLE `+name+` LOGIN PASSWORD 'sesame'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	t.Cleanup(func() { d.exec(t, "DROP OWNED BY "+name+" CASCADE") })
}

func (d *database) name(t *testing.T) string {
	t.Helper()
	return d.values(t, "SELECT current_database()")[0]
}

// as opens a session of a role.
func (d *database) as(t *testing.T, role string) *database {
	t.Helper()
	conn, err := pgconn.Connect(context.Background(), d.login(t, role))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &database{dsn: d.dsn, conn: conn}
}

// try runs a statement and gives the server's error, nil for none.
func (d *database) try(sql string) *pgconn.PgError {
	_, err := d.conn.Exec(context.Background(), sql).ReadAll()
	var pg *pgconn.PgError
	errors.As(err, &pg)
	return pg
}

func (d *database) refused(t *testing.T, sql, says string) {
	t.Helper()
	switch pg := d.try(sql); {
	case pg == nil:
		t.Errorf("not refused: %s", sql)
	case pg.ConstraintName != "sluice_lock" || pg.Code != "42501" || pg.Message != says:
		t.Errorf("%s\nis refused by %s %q, want %q", sql, pg.Code, pg.Message, says)
	}
	if d.conn.TxStatus() != 'I' {
		d.exec(t, "ROLLBACK")
	}
}

// writes are ways to write synced columns, with what a person reads.
var writes = []struct{ sql, says string }{
	{"UPDATE customers SET email = 'x' WHERE id = 1", "customers.email comes from crm: change it there"},
	{"UPDATE customers SET email = 'x', name = 'y', note = 'z'", "customers.email, customers.name come from crm: change them there"},
	{"UPDATE customers SET email = NULL", "customers.email comes from crm: change it there"},
	{`UPDATE customers SET doc = '{"a":  1}'`, "customers.doc comes from crm: change it there"},
	{"UPDATE customers SET id = id + 10", "customers.id comes from crm: change it there"},
	{"INSERT INTO customers (id) VALUES (7)", "rows of customers come from crm: insert them there"},
	{"INSERT INTO customers SELECT n FROM generate_series(10, 500) n", "rows of customers come from crm: insert them there"},
	{"INSERT INTO customers (id, email) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET email = excluded.email", "customers.email comes from crm: change it there"},
	{"WITH w AS (DELETE FROM customers RETURNING id) SELECT count(*) FROM w", "rows of customers come from crm: delete them there"},
	{"DELETE FROM customers WHERE id = 1", "rows of customers come from crm: delete them there"},
	{"TRUNCATE customers", "rows of customers come from crm: delete them there"},
	{"MERGE INTO customers c USING (VALUES (1)) v(id) ON c.id = v.id WHEN MATCHED THEN UPDATE SET email = 'x'", "customers.email comes from crm: change it there"},
	{"MERGE INTO customers c USING (VALUES (9)) v(id) ON c.id = v.id WHEN NOT MATCHED THEN INSERT (id) VALUES (9)", "rows of customers come from crm: insert them there"},
	{"MERGE INTO customers c USING (VALUES (1)) v(id) ON c.id = v.id WHEN MATCHED THEN DELETE", "rows of customers come from crm: delete them there"},
	{"PREPARE w AS UPDATE customers SET email = $1; EXECUTE w('x')", "customers.email comes from crm: change it there"},
	{"BEGIN; SAVEPOINT a; UPDATE customers SET note = 'n'; UPDATE customers SET email = 'x'", "customers.email comes from crm: change it there"},
	{"SET application_name = 'sluice'; UPDATE customers SET email = 'x'", "customers.email comes from crm: change it there"},
	{"DISCARD SEQUENCES; UPDATE customers SET email = 'x'", "customers.email comes from crm: change it there"},
	{"DELETE FROM regions", "rows of customers come from crm: delete them there"},
}

// edits are what stays allowed.
var edits = []string{
	"UPDATE customers SET note = 'mine'",
	"UPDATE customers SET id = id, email = email, name = name, doc = doc, note = 'all columns written'",
	"UPDATE customers SET email = 'nobody' WHERE false",
	"INSERT INTO customers (id, note) VALUES (1, 'n') ON CONFLICT (id) DO UPDATE SET note = excluded.note",
	"INSERT INTO customers (id) VALUES (1) ON CONFLICT DO NOTHING",
	"MERGE INTO customers c USING (VALUES (1)) v(id) ON c.id = v.id WHEN MATCHED THEN UPDATE SET note = 'm' WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id)",
	"DELETE FROM regions WHERE id = 99",
	"SELECT * FROM customers FOR UPDATE",
}

func TestLockEnforced(t *testing.T) {
	for _, version := range versions {
		for _, partitioned := range []bool{false, true} {
			t.Run(fmt.Sprintf("PostgreSQL %d, partitioned %v", version, partitioned), func(t *testing.T) { enforced(t, version, partitioned) })
		}
	}
}

func enforced(t *testing.T, version int, partitioned bool) {
	create := createCustomers
	if partitioned {
		create += " PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF customers FOR VALUES FROM (0) TO (100); CREATE TABLE high PARTITION OF customers FOR VALUES FROM (100) TO (1000)"
	}
	create += "; CREATE TABLE regions (id int PRIMARY KEY); INSERT INTO regions VALUES (1), (99); ALTER TABLE customers ADD FOREIGN KEY (region) REFERENCES regions ON DELETE CASCADE"
	d, c := locked(t, version, postgres.LockEnforce, create)
	d.role(t, "clerk")
	d.exec(t, "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk; GRANT pg_write_server_files, pg_read_server_files TO clerk")
	s := d.resumed(t, c)
	mustApply(t, s, create1(1), create1(2))
	d.exec(t, "UPDATE customers SET region = 1")
	for _, role := range []string{"clerk", "postgres", "filler"} { // anybody, the superuser, the sink's role and owner of the table
		session := d.as(t, role)
		if role == "postgres" {
			session = d
		}
		for _, w := range writes {
			if version < 15 && strings.HasPrefix(w.sql, "MERGE") {
				continue
			}
			session.refused(t, w.sql, w.says)
		}
		for _, sql := range edits {
			if pg := session.try(sql); pg != nil {
				t.Errorf("%s may not: %s: %v", role, sql, pg)
			}
		}
		if _, err := session.conn.CopyFrom(context.Background(), strings.NewReader("8\n9\n"), "COPY customers (id) FROM STDIN"); err == nil || !strings.Contains(err.Error(), "insert them there") {
			t.Errorf("COPY by %s: %v", role, err)
		}
		if partitioned {
			session.refused(t, "UPDATE low SET email = 'x'", "customers.email comes from crm: change it there")
			session.refused(t, "TRUNCATE low", "rows of customers come from crm: delete them there")
			session.refused(t, "DELETE FROM low", "rows of customers come from crm: delete them there")
			if pg := session.try("UPDATE low SET note = 'direct'"); pg != nil {
				t.Error(pg)
			}
		}
	}
	// What the sink's session says of itself is no way around.
	for _, role := range []string{"clerk", "postgres", "filler"} {
		session := d.as(t, role)
		for _, sql := range []string{"SET sluice.begun = 'yes'", "UPDATE customers SET email = 'x'"} {
			if pg := session.try(sql); (pg == nil) != strings.HasPrefix(sql, "SET") {
				t.Errorf("%s: %s: %v", role, sql, pg)
			}
		}
	}
	// The superuser may set session_replication_role, which leaves out ordinary triggers.
	d.exec(t, "SET session_replication_role = replica")
	d.refused(t, "UPDATE customers SET email = 'x'", "customers.email comes from crm: change it there")
	d.exec(t, "RESET session_replication_role")
	mustApply(t, s, update(customers, "1", "new", "{}", "n"), create1(150))
	d.want(t, "SELECT id, email FROM customers ORDER BY id", "1|new", "2|a2", "150|a150")
}

func create1(id int) change.Change {
	return create(customers, itoa(id), "a"+itoa(id), `{"a": 1}`, "name")
}

// Triggers of others that run before the comparison are no way around, and what they write in the sink's own transactions
// is recorded; a foreign key's action there is the sink's own work.
func TestLockAndTriggersOfOthers(t *testing.T) {
	d, c := locked(t, 15, postgres.LockEnforce, createCustomers+"; CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE, lines int)")
	c.Tables = append(c.Tables, hard("orders").Tables...)
	orders := table("orders", "id integer", "customer integer", "lines integer")
	s := d.resumed(t, c)
	mustApply(t, s, create1(1), create1(2), create1(3), create(orders, "1", "3", "1"))
	d.exec(t, `CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.email := 'changed'; RETURN NEW; END $$;
		CREATE TRIGGER zzzz BEFORE UPDATE OF note ON customers FOR EACH ROW EXECUTE FUNCTION change();
		CREATE FUNCTION count_orders() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE customers SET name = 'has orders' WHERE id = NEW.customer; RETURN NULL; END $$;
		CREATE TRIGGER many AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION count_orders()`)
	for _, session := range []*database{d, d.as(t, "filler")} {
		session.refused(t, "UPDATE customers SET note = 'x'", "customers.email comes from crm: change it there")
	}
	mustApply(t, s, create(orders, "2", "2", "1"), create(orders, "3", "2", "1"))
	mustApply(t, s, remove(customers, "3", "", "", ""))
	d.want(t, "SELECT c.id, name, o.id FROM customers c LEFT JOIN orders o ON c.id = customer ORDER BY 1, 3", "1|name|<null>", "2|has orders|2", "2|has orders|3")
	d.want(t, "SELECT destination, operation, rows, key, columns, login, trigger LIKE '%count_orders()%' FROM sluice.foreign_writes", `"public"."customers"|UPDATE|1|{"id": 2}|{name}|filler|t`)
}

func TestLockReports(t *testing.T) {
	for _, version := range versions {
		t.Run(fmt.Sprint("PostgreSQL ", version), func(t *testing.T) { reported(t, version) })
	}
}

func reported(t *testing.T, version int) {
	d, c := locked(t, version, postgres.LockReport, createCustomers)
	d.role(t, "clerk")
	d.exec(t, "GRANT ALL ON customers TO clerk; CREATE ROLE boss; GRANT boss TO clerk; GRANT ALL ON customers TO boss")
	t.Cleanup(func() { d.exec(t, "DROP OWNED BY boss; DROP ROLE boss") })
	s := d.resumed(t, c)
	mustApply(t, s, create1(1), create1(2))
	clerk := d.as(t, "clerk")
	clerk.exec(t, "SET application_name = 'crm-ui'")
	clerk.exec(t, "UPDATE customers SET email = 'x', note = 'n' WHERE id = 1")
	clerk.exec(t, "BEGIN; UPDATE customers SET email = 'lost'; ROLLBACK")
	clerk.exec(t, "SET ROLE boss; INSERT INTO customers (id) SELECT n FROM generate_series(100, 1099) n; RESET ROLE")
	clerk.exec(t, "UPDATE customers SET note = 'n'; INSERT INTO customers (id) VALUES (1) ON CONFLICT DO NOTHING")
	d.as(t, "filler").exec(t, "DELETE FROM customers WHERE id = 2")
	d.want(t, "SELECT count(*) FROM customers", "1001")
	d.want(t, `SELECT operation, sum(rows), count(*), min(key::text), min(columns::text), login, role, application_name, client_addr IS NOT NULL
		FROM sluice.foreign_writes GROUP BY operation, login, role, application_name, client_addr ORDER BY min(id)`,
		`UPDATE|1|1|{"id": 1}|{email}|clerk|clerk|crm-ui|t`, `INSERT|1000|11|{"id": 100}|<null>|clerk|boss|crm-ui|t`, `DELETE|1|1|{"id": 2}|<null>|filler|filler||t`)
	d.exec(t, "TRUNCATE customers")
	if _, err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	sum := map[string]int64{}
	for _, w := range s.Foreign() {
		sum[w.Table+" "+w.Operation+" "+w.Login] += w.Rows
	}
	want := map[string]int64{"public.customers UPDATE clerk": 1, "public.customers INSERT clerk": 1000, "public.customers DELETE filler": 1, "public.customers TRUNCATE postgres": 1}
	if !maps.Equal(sum, want) {
		t.Errorf("foreign writes are %v, want %v", sum, want)
	}
	if again := s.Foreign(); again != nil {
		t.Errorf("they are told twice: %v", again)
	}
	mustApply(t, s, create1(5)) // what the sink writes is not recorded
	d.want(t, "SELECT count(*) FROM sluice.foreign_writes WHERE NOT seen", "0")
}

// The lock follows the schema, comes back when somebody takes it away, and goes with the configuration.
func TestLockIsKeptUp(t *testing.T) {
	d, c := locked(t, 15, postgres.LockEnforce, createCustomers)
	c.Evolve = sink.EvolveAll
	s := d.resumed(t, c)
	v1 := version(8, "customers", "1 id integer*", "2 email text", "3 doc json", "4 name text")
	mustApply(t, s, create(v1, "1", "a", "{}", "n"))
	v2 := version(8, "customers", "1 id bigint*", "2 mail text", "4 name character varying", "5 score integer")
	mustApply(t, s, create(v2, "2", "b", "m", "7"))
	d.refused(t, "UPDATE customers SET mail = 'x'", "customers.mail comes from crm: change it there")
	d.refused(t, "UPDATE customers SET score = 1", "customers.score comes from crm: change it there")
	d.exec(t, "UPDATE customers SET note = 'x'")
	for _, harm := range []string{
		"ALTER TABLE customers DISABLE TRIGGER ALL",
		`DROP TRIGGER "sluice/crm/billing/row" ON customers`,
		"DROP FUNCTION sluice." + d.values(t, "SELECT proname FROM pg_proc WHERE proname ~ '^lock_[0-9a-f]+_row$'")[0] + " CASCADE",
		"ALTER FUNCTION sluice." + d.values(t, "SELECT proname FROM pg_proc WHERE proname ~ '^lock_[0-9a-f]+_row$'")[0] + " SECURITY INVOKER",
	} {
		d.exec(t, harm)
		if _, err := s.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.refused(t, "UPDATE customers SET mail = 'x'", "customers.mail comes from crm: change it there")
		d.refused(t, "TRUNCATE customers", "rows of customers come from crm: delete them there")
	}
	// An earlier version's functions and triggers are replaced.
	d.exec(t, `DO $$ DECLARE f regprocedure; BEGIN FOR f IN SELECT oid FROM pg_proc WHERE proname ~ '^lock_' LOOP
		EXECUTE 'COMMENT ON FUNCTION ' || f || ' IS ' || quote_literal(replace(obj_description(f, 'pg_proc'), 'version 1', 'version 0')); END LOOP; END $$`)
	if _, err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.want(t, "SELECT count(*) FROM pg_proc WHERE obj_description(oid, 'pg_proc') LIKE 'Lock of sink billing, source crm, on \"public\".\"customers\": enforce, for role filler, version 1'", "3")
	mustApply(t, s, create(v2, "3", "c", "m", "7"))
	_ = s.Close()

	d.lock = postgres.LockReport
	_ = d.resumed(t, c).Close()
	d.exec(t, "UPDATE customers SET mail = 'reported' WHERE id = 1")
	d.want(t, "SELECT columns FROM sluice.foreign_writes", "{mail}")
	d.lock = postgres.LockNone
	_ = d.resumed(t, c).Close()
	d.exec(t, "UPDATE customers SET mail = 'free'")
	d.wantNoLock(t)
}

// wantNoLock looks for what locks leave on tables and in schema sluice.
func (d *database) wantNoLock(t *testing.T) {
	t.Helper()
	d.want(t, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'sluice%'", "0")
	d.want(t, "SELECT count(*) FROM pg_proc WHERE proname LIKE 'lock\\_%'", "0")
	d.want(t, "SELECT count(*) FROM pg_class WHERE relname LIKE 'lock\\_%'", "0")
}

func TestLockIsRemoved(t *testing.T) {
	d, c := locked(t, 18, postgres.LockEnforce, createCustomers+"; CREATE TABLE orders (id int PRIMARY KEY, v text)")
	c.Tables = append(c.Tables, hard("orders").Tables...)
	orders := table("orders", "id integer", "v text")
	s := d.resumed(t, c)
	mustApply(t, s, create1(1), create(orders, "1", "a"))
	_ = s.Close()
	c.Tables = c.Tables[:1]
	s = d.resumed(t, c)
	d.exec(t, "UPDATE orders SET v = 'free'")
	d.refused(t, "DELETE FROM customers", "rows of customers come from crm: delete them there")
	_ = s.Close()
	if err := s.Teardown(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wantNoLock(t)
	d.want(t, "SELECT count(*) FROM pg_namespace WHERE nspname = 'sluice'", "0")
	d.exec(t, "DELETE FROM customers")
}

// A sink whose role does not own the tables says which right it lacks and waits; the owner grants it.
func TestLockNeedsTrigger(t *testing.T) {
	d, c := locked(t, 15, postgres.LockEnforce, createCustomers)
	d.exec(t, "ALTER TABLE customers OWNER TO postgres; GRANT SELECT, INSERT, UPDATE, DELETE ON customers TO filler")
	s := d.resumed(t, c)
	for range 2 {
		err := apply(s, create1(1))
		var held *sink.HeldError
		if !errors.As(err, &held) || held.Why != sink.HoldLock || !strings.Contains(held.Reason, `run: GRANT TRIGGER ON "public"."customers" TO "filler"`) {
			t.Fatalf("want a hold, got %v", err)
		}
		if _, err := s.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d.want(t, "SELECT count(*) FROM customers", "0")
	f := faults(s.Check(t.Context()))
	if len(f) != 1 || f[0].Fix != `GRANT TRIGGER ON "public"."customers" TO "filler"` {
		t.Fatalf("Check found %+v", f)
	}
	d.exec(t, f0(f))
	mustApply(t, s, create1(1))
	d.refused(t, "DELETE FROM customers", "rows of customers come from crm: delete them there")
	if f := faults(s.Check(t.Context())); len(f) > 0 {
		t.Errorf("Check found %+v", f)
	}
	_ = s.Close()
	if err := s.Teardown(t.Context()); err != nil { // it needs no ownership
		t.Fatal(err)
	}
	d.wantNoLock(t)
}

// Columns of a soft delete and archives are synced too.
func TestLockOfDeletions(t *testing.T) {
	d, c := locked(t, 15, postgres.LockEnforce, createCustomers)
	d.exec(t, "CREATE TABLE orders (id int PRIMARY KEY, v text, active boolean DEFAULT true, note text); ALTER TABLE orders OWNER TO filler")
	off := "false"
	c.Tables = append(c.Tables, sink.Table{From: "public.orders", Deletes: sink.Deletes{Policy: sink.DeleteSoft, Set: []sink.Assignment{{Column: "active", Value: &off}}}})
	c.Tables[0].Deletes = sink.Deletes{Policy: sink.DeleteArchive, Archive: "history.customers"}
	s := d.resumed(t, c)
	orders := table("orders", "id integer", "v text")
	mustApply(t, s, create1(1), create1(2), create(orders, "1", "a"))
	mustApply(t, s, remove(customers, "1", "", "", ""), remove(orders, "1", ""))
	d.want(t, "SELECT (SELECT active FROM orders), (SELECT count(*) FROM history.customers)", "f|1")
	d.refused(t, "UPDATE orders SET active = true", "orders.active comes from crm: change it there")
	d.exec(t, "UPDATE orders SET note = 'mine'")
	d.refused(t, "UPDATE history.customers SET sluice_deleted_at = now()", "history.customers.sluice_deleted_at comes from crm: change it there")
	d.refused(t, "DELETE FROM history.customers", "rows of history.customers come from crm: delete them there")
	d.refused(t, "TRUNCATE history.customers", "rows of history.customers come from crm: delete them there")
}

// A sink that was taken out of the configuration without being torn down leaves its lock, and the next one says so.
func TestLockThatWasLeft(t *testing.T) {
	d, c := locked(t, 15, postgres.LockEnforce, createCustomers)
	old := d.resumed(t, c)
	mustApply(t, old, create1(1))
	_ = old.Close()
	d.exec(t, "DELETE FROM sluice.owners")
	next := d.openAs(t, "other", "crm", c)
	defer next.Close()
	if _, err := next.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantError(t, apply(next, create1(2)), "rows of customers come from crm: insert them there", "tear that sink down")
	d.exec(t, "DELETE FROM sluice.owners")
	if err := old.Teardown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := next.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustApply(t, next, create1(2))
	d.refused(t, "DELETE FROM customers", "rows of customers come from crm: delete them there")
}

// Names that would break out of SQL do not.
func TestLockOfOddNames(t *testing.T) {
	name := `$role'\"$$$idold;x`
	d, _ := locked(t, 15, postgres.LockEnforce, `CREATE TABLE `+quote(name)+` (`+quote(name)+` int PRIMARY KEY, "a\'b" text, note text)`)
	c := sink.Config{Tables: []sink.Table{{From: "public." + quote(name), Deletes: sink.Deletes{Policy: sink.DeleteHard}}}}
	s := d.resumed(t, c)
	mustApply(t, s, create(table(name, name+" integer", `a\'b text`), "1", "x"))
	d.exec(t, "SET standard_conforming_strings = off")
	d.refused(t, `UPDATE `+quote(name)+` SET "a\'b" = 'y'`, name+`.a\'b comes from crm: change it there`)
	d.exec(t, "UPDATE "+quote(name)+" SET note = 'y'")
}

// Another process takes the sink over, and writes; the old one's session is anybody's.
func TestLockAfterTakeOver(t *testing.T) {
	d, c := locked(t, 15, postgres.LockEnforce, createCustomers)
	s := d.resumed(t, c)
	mustApply(t, s, create1(1))
	d.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice' AND datname = current_database()")
	next := d.open(t, c)
	defer next.Close()
	d.takeBack(t, next)
	mustApply(t, next, update(customers, "1", "second", "{}", "n"))
	d.want(t, "SELECT email FROM customers", "second")
	if _, err := s.Resume(context.Background()); !errors.Is(err, sink.ErrLeased) {
		t.Errorf("Resume gives %v", err)
	}
}

// What a session is taken for cannot be set by others, by no setting and by none of the sink's objects.
func TestLockCannotBeForged(t *testing.T) {
	d, c := locked(t, 15, postgres.LockEnforce, createCustomers)
	d.role(t, "clerk")
	d.exec(t, "GRANT ALL ON customers TO clerk; GRANT CREATE ON SCHEMA public TO clerk")
	s := d.resumed(t, c)
	mustApply(t, s, create1(1))
	clerk := d.as(t, "clerk")
	number := d.values(t, "SELECT last_value FROM sluice.writer")[0]
	fn := d.values(t, "SELECT proname FROM pg_proc WHERE proname ~ '^lock_.*_begin$'")[0]
	for _, sql := range []string{
		"SELECT setval('sluice.writer', " + number + ")", "SELECT nextval('sluice.writer')", "UPDATE sluice.progress SET epoch = 9",
		"CREATE TABLE mine (id int); CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH STATEMENT EXECUTE FUNCTION sluice." + fn + "()",
		"DROP FUNCTION sluice." + fn + " CASCADE", `DROP TRIGGER "sluice/crm/billing/row" ON customers`,
	} {
		if pg := clerk.try(sql); pg == nil || pg.Code != "42501" {
			t.Errorf("%s: %v", sql, pg)
		}
	}
	// Names of the session's own do not stand in for those that the functions mean.
	clerk.exec(t, `CREATE FUNCTION public.currval(regclass) RETURNS bigint LANGUAGE sql AS 'SELECT `+number+`::bigint';
		CREATE TEMP TABLE foreign_writes (id int); CREATE TEMP SEQUENCE writer; SELECT setval('writer', `+number+`); SET search_path = pg_temp, public, pg_catalog`)
	clerk.refused(t, "UPDATE public.customers SET email = 'x'", "customers.email comes from crm: change it there")
	d.exec(t, "SET SESSION AUTHORIZATION filler")
	d.refused(t, "UPDATE customers SET email = 'x'", "customers.email comes from crm: change it there")
	d.exec(t, "RESET SESSION AUTHORIZATION")
	// A session that was the sink's and goes on, as behind a pooler, is one of many.
	_ = s.Close()
	d.want(t, "SELECT last_value FROM sluice.writer", "0")
}

// Partitions that the sink has not seen yet are locked with the table, and free when they are detached.
func TestLockOfPartitions(t *testing.T) {
	for _, lock := range []postgres.LockMode{postgres.LockEnforce, postgres.LockReport} {
		d, c := locked(t, 15, lock, createCustomers+" PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF customers FOR VALUES FROM (0) TO (100)")
		s := d.resumed(t, c)
		mustApply(t, s, create1(1))
		d.exec(t, "CREATE TABLE high PARTITION OF customers FOR VALUES FROM (100) TO (200); ALTER TABLE high OWNER TO filler")
		mustApply(t, s, create1(150))
		direct := d.as(t, "postgres")
		if lock == postgres.LockEnforce {
			direct.refused(t, "UPDATE high SET email = 'x'", "customers.email comes from crm: change it there")
			direct.exec(t, "UPDATE high SET note = 'x'")
		} else {
			direct.exec(t, "UPDATE high SET email = 'x'")
			d.want(t, "SELECT destination, key, columns FROM sluice.foreign_writes", `"public"."customers"|{"id": 150}|{email}`)
		}
		if _, err := s.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.want(t, "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'high'::regclass AND tgname ~ '/(begin|row|truncate)$' ORDER BY 1",
			"sluice/crm/billing/begin|A", "sluice/crm/billing/row|A", "sluice/crm/billing/truncate|A")
		d.exec(t, "ALTER TABLE customers DETACH PARTITION low; UPDATE low SET email = 'free'; TRUNCATE low")
	}
}

// login gives the address for a role; the superuser is whoever made the database.
func (d *database) login(t *testing.T, role string) string {
	t.Helper()
	if role == "postgres" {
		return d.admin
	}
	return withUser(t, d.dsn, role, "sesame")
}

// A rehearsal plays what the sink does, and is the sink's work; the lock's triggers are no danger.
func TestLockAndRehearsal(t *testing.T) {
	d, c := locked(t, 15, postgres.LockEnforce, createCustomers)
	s := d.resumed(t, c)
	mustApply(t, s, create1(1), create1(2))
	for name, act := range d.rehearse(t, c) {
		if len(act.Dangers) > 0 || act.Unfinished != "" || len(act.Triggers) > 0 || act.Sample != 2 {
			t.Errorf("%s: %+v", name, act)
		}
	}
	if f := s.Check(t.Context()); len(faults(f)) > 0 {
		t.Errorf("Check found %+v", faults(f))
	}
	mustApply(t, s, create1(3))
}

// The session that removes rows which verify found is the sink's, too.
func TestLockAndRepair(t *testing.T) {
	d, c := locked(t, 15, postgres.LockEnforce, createCustomers)
	s := d.resumed(t, c)
	mustApply(t, s, create1(1), create1(2))
	at := strings.Split(d.values(t, "SELECT tableoid, ctid, xmin FROM customers WHERE id = 2")[0], "|")
	removed, err := d.open(t, c).RemoveExtra(t.Context(), customers, []postgres.RowVersion{{Part: at[0], Place: at[1], Transaction: at[2]}})
	if err != nil || removed != 1 {
		t.Fatalf("%d rows removed: %v", removed, err)
	}
	d.want(t, "SELECT id FROM customers", "1")
}
