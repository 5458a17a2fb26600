package integration

import (
	"strings"
	"testing"
	"time"
)

// What check-ddl says of statements whose rows are not in the log is what happens: the destination keeps
// what it has, until rows are written again or the statement is run there too.
func TestStatementsOutsideTheLog(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.parts", "public.moods"}, func(config string) string {
		return strings.Replace(config, "tables: [public.parts, public.moods]", `tables: ["public.*"]`, 1)
	})
	const makeTypes = `create type mood as enum ('sad', 'ok'); create type pair as (x int, y int)`
	d.exec(makeTypes,
		`create table parts (id int primary key) partition by range (id)`, `create table parts_a partition of parts for values from (0) to (10)`,
		`create table parts_b partition of parts for values from (10) to (20)`, `create table parts_c (id int primary key)`,
		`create table moods (id int primary key, m mood, many mood[], p pair)`,
		`insert into parts values (1), (11)`, `insert into parts_c values (21)`, `insert into moods values (1, 'ok', '{ok}', '(1,2)')`)
	execAt(t, d.destination, `create type mood as enum ('sad', 'ok')`)
	p := d.start("run")
	holds := func(query, want string) {
		t.Helper()
		d.caughtUp(60 * time.Second)
		if got := scan[string](t, d.destination, query); got != want {
			t.Errorf("%s gives %s, want %s", query, got, want)
		}
	}
	parts := `select string_agg(id::text, ' ' order by id) from parts`
	holds(parts, "1 11")
	for _, s := range []struct{ statement, says, query, want string }{
		{"truncate parts_a", "PROBLEM the rows of partition public.parts_a stay", parts, "1 11"},
		{"insert into parts values (2)", "", parts, "1 2 11"},
		{"alter table parts detach partition parts_a", "PROBLEM the rows of partition public.parts_a stay", parts, "1 2 11"},
		{"drop table parts_b", "PROBLEM the rows of partition public.parts_b stay", parts, "1 2 11"},
		{"alter table parts attach partition parts_c for values from (20) to (30)", "reread the rows of public.parts_c", parts, "1 2 11"},
		{"update parts set id = id", "", parts, "1 2 11 21"},
		{"alter type mood rename value 'ok' to 'fine'", "keeps 'ok' in column m, which is of type mood there", "select m || many::text from moods", "ok{ok}"},
		{"alter type pair add attribute z int", "reread column p", "select p from moods", "(1,2)"},
		{"alter type mood add value 'glad'", "it adds 'glad'", "select count(*)::text from moods", "1"},
	} {
		if s.says != "" {
			out, _ := d.command("schema", "check-ddl", s.statement)
			if !strings.Contains(strings.Join(strings.Fields(out), " "), s.says) {
				t.Errorf("of %s it does not say %q:\n%s", s.statement, s.says, out)
			}
		}
		d.exec(s.statement)
		holds(s.query, s.want)
	}
	execAt(t, d.destination, `alter type mood rename value 'ok' to 'fine'`)
	d.exec(`update moods set p = p`, `insert into moods values (2, 'glad', '{fine}', '(1,2,3)')`)
	holds(`select string_agg(m || many::text || p, ' ' order by id) from moods`, "fine{fine}(1,2,) glad{fine}(1,2,3)")
	d.exec(`alter table moods add t uuid default gen_random_uuid()`, `insert into moods values (3, 'fine', '{}', '(1,2,3)')`)
	for _, s := range d.heldFor("may have values in it that the log does not hold") {
		execAt(t, d.destination, s)
	}
	d.exec(`update moods set t = t`)
	d.caughtUp(60 * time.Second)
	d.same("public.moods")
	d.stop(p)
}
