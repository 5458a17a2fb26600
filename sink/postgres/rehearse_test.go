package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
)

func eachVersion(t *testing.T, run func(*testing.T, *database)) {
	for _, version := range versions {
		t.Run(fmt.Sprint("PostgreSQL ", version), func(t *testing.T) {
			run(t, newDatabase(t, harness.SharedPostgres(t, version)))
		})
	}
}

func (d *database) rehearse(t *testing.T, c sink.Config) map[string]*postgres.Act {
	t.Helper()
	s := d.open(t, c)
	all, err := s.Rehearse(context.Background(), func(t *postgres.Table) bool { return true }, 4)
	if err != nil {
		t.Fatal(err)
	}
	acts := map[string]*postgres.Act{}
	for _, r := range all {
		for i := range r.Acts {
			a := &r.Acts[i]
			acts[strings.Trim(strings.TrimPrefix(r.Table, `"public".`), `"`)+" "+a.Statement] = a
		}
	}
	return acts
}

// written shows what an act wrote, as "table +inserted ~updated -deleted through".
func written(a *postgres.Act) (all []string) {
	for _, t := range a.Tables {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s +%d ~%d -%d %s", strings.ReplaceAll(t.Table, `"`, ""), t.Inserted, t.Updated, t.Deleted, t.Through)))
	}
	return all
}

func wantWritten(t *testing.T, a *postgres.Act, want ...string) {
	t.Helper()
	if got := written(a); !slices.Equal(got, want) || a.Unfinished != "" {
		t.Errorf("%s wrote\n %q, want\n %q (%s)", a.Statement, got, want, a.Unfinished)
	}
}

func wantDangers(t *testing.T, a *postgres.Act, want ...string) {
	t.Helper()
	if len(a.Dangers) != len(want) {
		t.Errorf("%s: dangers %q, want %q", a.Statement, a.Dangers, want)
		return
	}
	for i, w := range want {
		if !strings.Contains(a.Dangers[i], w) {
			t.Errorf("%s: danger %q, want %q", a.Statement, a.Dangers[i], w)
		}
	}
}

func fired(a *postgres.Act) (all []string) {
	for _, f := range a.Triggers {
		all = append(all, f.Name)
	}
	slices.Sort(all)
	return all
}

const rehearsed = `
	CREATE TABLE customers (id int PRIMARY KEY, name text);
	CREATE TABLE orders (id int PRIMARY KEY, customer int CONSTRAINT orders_customer REFERENCES customers ON DELETE CASCADE);
	CREATE TABLE lines (id int PRIMARY KEY, "order" int CONSTRAINT lines_order REFERENCES orders ON DELETE SET NULL) PARTITION BY RANGE (id);
	CREATE TABLE lines_1 PARTITION OF lines FOR VALUES FROM (0) TO (1000);
	CREATE TABLE log (what text, at serial);
	CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log (what) VALUES (TG_OP); RETURN NULL; END $$;
	CREATE TRIGGER logged AFTER INSERT OR UPDATE OR DELETE ON customers FOR EACH ROW EXECUTE FUNCTION log();
	CREATE TRIGGER never AFTER TRUNCATE ON customers EXECUTE FUNCTION log();
	CREATE TRIGGER off AFTER DELETE ON customers EXECUTE FUNCTION log();
	ALTER TABLE customers DISABLE TRIGGER off;
	INSERT INTO customers SELECT i, 'n' FROM generate_series(1, 100) i;
	INSERT INTO orders SELECT i, i FROM generate_series(1, 100) i;
	INSERT INTO lines SELECT i, i FROM generate_series(1, 100) i;
	TRUNCATE log`

// state is all that a rehearsal must leave as it is.
const state = `SELECT (SELECT string_agg(c::text, ',' ORDER BY id) FROM customers c), (SELECT string_agg(o::text, ',' ORDER BY id) FROM orders o),
	(SELECT string_agg(l::text, ',' ORDER BY id) FROM lines l), (SELECT count(*) FROM log), (SELECT count(*) FROM pg_class WHERE relname = 'gone'), (SELECT count(*) FROM pg_namespace WHERE nspname = 'sluice')`

func TestRehearse(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		d.exec(t, rehearsed)
		before := d.values(t, state)
		acts := d.rehearse(t, hard("customers"))
		wantWritten(t, acts["customers insert"], "public.customers +0 ~4 -0", "public.log +4 ~0 -0 a trigger")
		wantWritten(t, acts["customers update"], "public.customers +0 ~4 -0", "public.log +4 ~0 -0 a trigger")
		gone := []string{"public.customers +0 ~0 -4", `public.lines +0 ~4 -0 foreign key "lines_order" ON DELETE SET NULL`, "public.log +4 ~0 -0 a trigger", `public.orders +0 ~0 -4 foreign key "orders_customer" ON DELETE CASCADE`}
		wantWritten(t, acts["customers delete"], gone...)
		wantWritten(t, acts["customers truncate"], gone...)
		wantDangers(t, acts["customers update"])
		wantDangers(t, acts["customers delete"], `4 rows of "public"."lines", which is no table of this sink`, `4 rows of "public"."orders", which is no table of this sink`)
		if got := fired(acts["customers delete"]); !slices.Equal(got, []string{"logged"}) {
			t.Errorf("triggers %q", got)
		}
		locks := acts["customers delete"].Locks
		if !slices.Contains(locks, postgres.Lock{Table: `"public"."orders"`, Mode: "RowExclusiveLock", Count: 2}) { // with its index
			t.Errorf("locks %v", locks)
		}
		if n := acts["customers delete"].Notes; len(n) != 1 || !strings.Contains(n[0], `sequence "public"."log_at_seq" has advanced`) {
			t.Errorf("notes %q", n)
		}
		d.want(t, state, before...)
		d.want(t, "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.datname = current_database() AND pid <> pg_backend_pid()", "0")

		// Tables of the sink are no danger where their rows are deleted too.
		wantDangers(t, d.rehearse(t, hard("customers", "orders", "lines"))["customers delete"])
		kept := hard("customers", "orders", "lines")
		kept.Tables[1].Deletes = sink.Deletes{Policy: sink.DeleteIgnore}
		wantDangers(t, d.rehearse(t, kept)["customers delete"], `4 rows of "public"."orders", whatever deletes: ignore says`)
	})
}

func TestRehearsePolicies(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		d.exec(t, rehearsed)
		before := d.values(t, state)
		c := hard("lines")
		c.Tables[0].Deletes = sink.Deletes{Policy: sink.DeleteArchive, Archive: "history.gone"}
		c.Tables[0].Truncate = sink.TruncateRefuse
		acts := d.rehearse(t, c)
		wantWritten(t, acts["lines insert"], "public.lines +4 ~0 -0") // nothing hangs on it: put aside, and new
		wantWritten(t, acts["lines delete"], "public.lines +0 ~0 -4", "history.gone +4 ~0 -0 archive")
		wantWritten(t, acts["lines truncate"])
		if notes := acts["lines truncate"].Notes; len(notes) != 1 || !strings.Contains(notes[0], "truncate is refuse") {
			t.Errorf("notes %q", notes)
		}
		value := "x"
		c.Tables[0] = sink.Table{From: "public.customers", Deletes: sink.Deletes{Policy: sink.DeleteSoft, Set: []sink.Assignment{{Column: "name", Value: &value}}}, Truncate: sink.TruncateApply}
		acts = d.rehearse(t, c)
		for _, name := range []string{"delete", "truncate"} {
			wantWritten(t, acts["customers "+name], "public.customers +0 ~4 -0", "public.log +4 ~0 -0 a trigger")
			wantDangers(t, acts["customers "+name])
		}
		c.Tables[0] = sink.Table{From: "public.customers", Deletes: sink.Deletes{Policy: sink.DeleteIgnore}, Truncate: sink.TruncateApply}
		acts = d.rehearse(t, c)
		wantWritten(t, acts["customers delete"])
		wantWritten(t, acts["customers truncate"])
		d.want(t, state, before...)
	})
}

// What would fail is found: a constraint of a table that refers, one that waits for the commit, one of the table itself, and
// a trigger that keeps rows.
func TestRehearseFailures(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		d.exec(t, `CREATE TABLE parents (id int PRIMARY KEY, n int);
			CREATE TABLE children (id int PRIMARY KEY, parent int CONSTRAINT held REFERENCES parents);
			CREATE TABLE late (id int PRIMARY KEY, n int);
			CREATE TABLE later (id int PRIMARY KEY, late int CONSTRAINT deferred REFERENCES late DEFERRABLE);
			CREATE TABLE kept (id int PRIMARY KEY);
			CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
			CREATE TRIGGER keep BEFORE DELETE ON kept FOR EACH ROW EXECUTE FUNCTION keep();
			CREATE TABLE loose (n int, t text);
			INSERT INTO parents VALUES (1, 1), (2, -2); INSERT INTO children VALUES (1, 1);
			INSERT INTO late VALUES (1, 1); INSERT INTO later VALUES (1, 1); INSERT INTO kept VALUES (1), (2), (3);
			INSERT INTO loose VALUES (1, 'a'), (1, 'a'), (NULL, NULL);
			ALTER TABLE parents ADD CONSTRAINT positive CHECK (n > 0) NOT VALID`)
		acts := d.rehearse(t, hard("parents", "late", "kept", "loose"))
		wantDangers(t, acts["parents delete"], `violates foreign key constraint "held" on table "children"`)
		wantDangers(t, acts["parents update"], `violates check constraint "positive"`)
		wantDangers(t, acts["late delete"], `violates foreign key constraint "deferred" on table "later"`)
		wantDangers(t, acts["kept delete"], "only 0 of 3 rows")
		wantDangers(t, acts["kept truncate"], "only 0 of 3 rows")
		for name, want := range map[string]string{"insert": "+3 ~0 -0", "update": "+0 ~3 -0", "delete": "+0 ~0 -3", "truncate": "+0 ~0 -3"} {
			wantWritten(t, acts["loose "+name], "public.loose "+want)
		}
	})
}

// Rows that somebody has locked are left out, and a table that somebody has locked is not waited for.
func TestRehearseWaitsForNobody(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		d.exec(t, rehearsed)
		d.exec(t, "BEGIN; UPDATE customers SET name = 'x' WHERE id IN (1, 100)")
		acts := d.rehearse(t, hard("customers"))
		wantWritten(t, acts["customers update"], "public.customers +0 ~4 -0", "public.log +4 ~0 -0 a trigger")
		d.exec(t, "ROLLBACK; BEGIN; LOCK TABLE orders")
		acts = d.rehearse(t, hard("customers"))
		if a := acts["customers delete"]; !strings.Contains(a.Unfinished, "lock timeout") {
			t.Errorf("unfinished %q", a.Unfinished)
		}
		d.exec(t, "ROLLBACK")
	})
}

// A sink that runs is left alone, and what it remembers is used.
func TestRehearseBesideTheSink(t *testing.T) {
	eachVersion(t, func(t *testing.T, d *database) {
		d.exec(t, "CREATE TABLE people (surrogate serial PRIMARY KEY, id int UNIQUE, name text, own text)")
		s := d.resumed(t, hard("people"))
		people := table("people", "id integer", "name text")
		mustApply(t, s, create(people, "1", "a"), create(people, "2", "b"))
		acts := d.rehearse(t, hard("people"))
		wantWritten(t, acts["people insert"], "public.people +2 ~0 -0")
		wantWritten(t, acts["people update"], "public.people +0 ~2 -0")
		wantWritten(t, acts["people delete"], "public.people +0 ~0 -2")
		mustApply(t, s, update(people, "1", "c"), remove(people, "2", "<null>"))
		d.want(t, "SELECT surrogate, id, name FROM people", "1|1|c")
	})
}
