package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
)

// newTold has an event trigger at the source and a sink that follows all it can.
func newTold(t *testing.T, version int, tables ...string) *deployment {
	return newDeployment(t, version, tables, func(text string) string {
		text = strings.Replace(text, "kafka:", "  ddl: trigger\nkafka:", 1)
		return strings.Replace(text, "type: postgres\n", "type: postgres\n    evolve: all\n", 1)
	})
}

// What a statement computes for the rows that are there is in no record. The event trigger tells of the
// statement, and the sink waits for a person instead of going on with other values.
func TestTriggerTellsOfComputedValues(t *testing.T) {
	t.Parallel()
	statements := []struct{ table, ddl, reason string }{
		{"doubled", "alter table doubled alter v type int using v * 2", `new values in column "v"`},
		{"widened", "alter table widened alter v type bigint using v * 2", `new values in column "v"`},
		{"random", "alter table random add r float default random()", `rows from before`},
		{"serial", "alter table serial add n serial", `rows from before`},
		{"mixed", "alter table mixed add c int default 5, alter v type bigint", `rows from before`},
	}
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprintf("postgres %d", version), func(t *testing.T) {
			t.Parallel()
			var tables []string
			for _, s := range statements {
				tables = append(tables, "public."+s.table)
			}
			d := newTold(t, version, append(tables, "public.silent")...)
			for _, s := range statements {
				d.exec("create table "+s.table+" (id int primary key, v int)", "insert into "+s.table+" values (1, 1), (2, 2)")
			}
			d.exec("create table silent (id int primary key, v int)", "insert into silent values (1, 1)")
			d.start("capture")
			d.start("sink")
			d.caughtUp(30 * time.Second)
			// What needs nobody: a rewrite without an expression, a default that the log tells before the rewrite.
			d.exec("alter table silent add w int default 3", "alter table silent alter v type bigint", "insert into silent values (2, 5000000000, 1)")
			d.caughtUp(30 * time.Second)
			for _, s := range statements {
				d.exec(s.ddl, "insert into "+s.table+" (id, v) values (3, 3)")
				run := d.heldFor(s.reason)
				i := slices.IndexFunc(run, func(sql string) bool { return strings.HasPrefix(sql, "DELETE FROM sluice.shapes") })
				columns := columnsOf(t, d.source, s.table)
				copied := "insert into " + s.table + " (" + strings.Join(columns, ", ") + ") " + d.valuesOf(s.table+" where id < 3", columns)
				if i < 0 {
					i = len(run)
				}
				// In one transaction, so that the sink goes on behind all of it.
				execAt(t, d.destination, strings.Join(slices.Insert(run, i, "delete from "+s.table, copied), "; "))
				d.caughtUp(30 * time.Second)
			}
			d.same(append(tables, "public.silent")...)
			d.topicsHold()
		})
	}
}

// valuesOf gives rows of the source as a VALUES clause.
func (d *deployment) valuesOf(rows string, columns []string) string {
	d.t.Helper()
	literals := "(" + strings.TrimSuffix(strings.Repeat("%L,", len(columns)), ",") + ")"
	return scan[string](d.t, d.source, "select 'values ' || string_agg(format('"+literals+"', "+strings.Join(columns, ", ")+"), ', ') from "+rows)
}

// A table that comes under a pattern is captured from its first row on, in the very transaction that makes
// it; one without a usable identity is left alone until it has one.
func TestTriggerPublishesNewTables(t *testing.T) {
	t.Parallel()
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprintf("postgres %d", version), func(t *testing.T) {
			t.Parallel()
			d := newTold(t, version, "public.ev_base")
			d.edit("tables: [public.ev_base]", `tables: ["public.ev_*"]`)
			d.exec("create table ev_base (id int primary key)")
			d.start("capture")
			d.published()
			d.exec("begin; create table ev_new (id int primary key, v text); insert into ev_new values (1, 'first'); commit",
				"insert into ev_new values (2, 'second')",
				"create table ev_bare (id int)", "insert into ev_bare values (1)", "update ev_bare set id = 2",
				"create table other (id int primary key)",
				"create table ev_parts (id int primary key) partition by range (id)", "create table ev_part partition of ev_parts for values from (0) to (9)", "insert into ev_parts values (1)")
			d.awaitTable("public.ev_new", true, "")
			d.awaitTable("public.ev_bare", false, "no usable replica identity")
			d.published()
			log := d.topicsHold()
			changes := map[string]int{}
			for _, r := range log.Records {
				changes[r.Collection]++
			}
			if changes["public.ev_new"] != 2 || changes["public.ev_parts"] != 1 {
				t.Errorf("the topics hold %v, want 2 changes of public.ev_new and 1 of public.ev_parts", changes)
			}
			if got, want := d.versions("public.ev_new"), []string{"id#1* integer, v#2 text"}; !slices.Equal(got, want) {
				t.Errorf("public.ev_new has the versions %v, want %v", got, want)
			}
		})
	}
}

// Only a superuser may install event triggers: anyone else gets what to run, and teardown takes it away.
func TestTriggerNeedsASuperuser(t *testing.T) {
	t.Parallel()
	d := newTold(t, 15, "public.t")
	role := harness.Unique("owner")
	d.exec("create table t (id int primary key)", "create role "+role+" login replication", "alter table t owner to "+role,
		"grant create on database "+databaseOf(d.source)+" to "+role)
	asSuperuser := d.source
	d.source = strings.Replace(asSuperuser, "postgres@", role+"@", 1)
	says(t, d.fails(3, "check"), "as a superuser run", "CREATE EVENT TRIGGER")
	says(t, d.fails(1, "capture"), "run as a superuser in database", "CREATE EVENT TRIGGER")
	d.source = asSuperuser
	p := d.start("capture")
	d.published()
	d.stop(p)
	execAt(t, asSuperuser, "reassign owned by "+role+" to postgres", "drop owned by "+role)
	if out, status := d.command("teardown", "--yes"); status != 0 || !strings.Contains(out, "event triggers") {
		t.Errorf("teardown: exit %d with\n%s", status, out)
	}
	if n := scan[int](t, d.source, "select count(*) from pg_event_trigger"); n != 0 {
		t.Errorf("%d event triggers are left", n)
	}
}

// The trigger's message comes before the first row behind the statement, also where nothing is in the log
// between the two. Otherwise the row's value is taken for that of a forgotten default.
func TestTriggerTellsBeforeTheFirstRow(t *testing.T) {
	t.Parallel()
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprintf("postgres %d", version), func(t *testing.T) {
			t.Parallel()
			d := newTold(t, version, "public.parts")
			d.exec("create table parts (id int primary key)")
			d.start("capture")
			d.start("sink")
			d.caughtUp(30 * time.Second)
			d.exec("drop table parts", "begin; create table parts (id int primary key, a int) partition by range (id); create table part partition of parts default; insert into parts values (1, 1); commit")
			d.caughtUp(30 * time.Second)
			d.exec("begin; alter table parts add b date; insert into parts values (2, 2, '2020-01-01'); commit")
			d.follow(30 * time.Second)
			d.same("public.parts")
		})
	}
}
