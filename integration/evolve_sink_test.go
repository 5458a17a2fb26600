package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/process"
)

// extents are the values of evolve, each a sink with a schema of its own at the destination.
var extents = []string{"add", "all", "none"}

// following is a statement at the source between rows: % stands for the table, which begins with id and a.
type following struct {
	table  string
	a      string // type of the column a
	before string // values of rows 1 and 2, by $1
	ddl    string
	after  string // of row 3
	// held are the extents, none apart, under which the sink waits for a person.
	held []string
	// byHand replaces what the sink says to run, where only a person knows it.
	byHand string
	same   bool // the statement leaves a destination as it is
}

var followings = []following{
	{table: "added", a: "int", before: "$1", ddl: "alter table % add b int", after: "3, 4"},
	{table: "filled", a: "int", before: "$1", ddl: "alter table % add b text default 'it''s', add c timestamptz default '2024-01-01 00:00+02'", after: "3, 'x', now()"},
	{table: "dropped", a: "int not null, b int", before: "$1, 7", ddl: "alter table % drop a", after: "3"},
	{table: "renamed", a: "text, b int", before: "'a' || $1, 7", ddl: "alter table % rename a to c", after: "'new', 3"},
	{table: "again", a: "text", before: "'old'", ddl: "alter table % drop a, add b int; alter table % add a text default 'none'", after: "3, 'new'", held: []string{"add"}},
	{table: "exchanged", a: "int, b int", before: "$1, 7", ddl: "alter table % rename a to t; alter table % rename b to a; alter table % rename t to b", after: "3, 4", held: []string{"add"}},
	{table: "widened", a: "int, b varchar(5), c numeric(6,2), d real", before: "$1, 'abc', 1.25, 0.1", ddl: "alter table % alter a type bigint, alter b type text, alter c type numeric(10,4), alter d type float8",
		after: "5000000000, 'longer than 5', 123456.7891, 0.1"},
	{table: "retyped", a: "text", before: "'abc'", ddl: "alter table % alter a type int using length(a)", after: "5", held: []string{"add", "all"},
		byHand: `alter table $.retyped alter a type int using length(a)`},
	{table: "narrowed", a: "bigint", before: "$1", ddl: "alter table % alter a type int", after: "5", held: []string{"add"}},
	{table: "typed", a: "kind", before: "'one'", ddl: "alter type kind rename to sort; alter table % add b int", after: "'two', 4", held: []string{"add", "all"}},
	{table: "keyed", a: "int", before: "$1", ddl: "alter table % drop constraint %_pkey, add primary key (id, a)", after: "5", held: []string{"add"}},
	{table: "keynamed", a: "int", before: "$1", ddl: "alter table % rename id to nr", after: "5", held: []string{"add"}},
	{table: "emptied", a: "int", before: "$1", ddl: "truncate %; alter table % rename id to nr; truncate %", after: "5", held: []string{"add"}},
	{table: "indexed", a: "int not null", before: "$1", ddl: "create unique index on % (a); alter table % replica identity using index %_a_idx", after: "5", held: []string{"add"}},
	{table: "unkeyed", a: "int", before: "$1", ddl: "alter table % replica identity full; alter table % drop constraint %_pkey", after: "5", held: []string{"add"}},
	{table: "identity", a: "int", before: "$1", ddl: "alter table % replica identity full", after: "5", same: true},
	{table: "generated", a: "int", before: "$1", ddl: "alter table % add g int generated always as (a * 2) stored", after: "5", held: []string{"add", "all"},
		byHand: `alter table $.generated add g int; update $.generated set g = a * 2`},
	{table: "computed", a: "int, g int generated always as (a + 1) stored", before: "$1", ddl: "alter table % alter g drop expression", after: "5, 9", same: true},
}

// Each schema change arrives in its place between the rows, under each extent of evolve; what is not
// followed holds the sink until the statements that it names were run.
func TestSinkFollowsSchemaChanges(t *testing.T) {
	t.Parallel()
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprintf("PostgreSQL %d", version), func(t *testing.T) {
			t.Parallel()
			testFollowing(t, version)
		})
	}
}

func testFollowing(t *testing.T, version int) {
	var tables []string
	for _, f := range followings {
		tables = append(tables, "public."+f.table)
	}
	d := newDeployment(t, version, tables, withExtents)
	d.exec("create type kind as enum ('one', 'two')")
	for _, f := range followings {
		d.exec("create table "+f.table+" (id int primary key, a "+f.a+")", "insert into "+f.table+" values (1, "+strings.ReplaceAll(f.before, "$1", "1")+")")
	}
	d.start("capture")
	sink := d.start("sink")
	d.settle(nil)
	for n, f := range followings {
		if n%2 == 0 { // a sink that was away finds the statement among its records
			d.stop(sink)
		}
		name := f.table
		foretold := d.foretold(strings.ReplaceAll(f.ddl, "%", name))
		d.exec(append(append([]string{"insert into " + name + " values (2, " + strings.ReplaceAll(f.before, "$1", "2") + ")"},
			strings.Split(strings.ReplaceAll(f.ddl, "%", name), "; ")...), "insert into "+name+" values (3, "+f.after+")")...)
		if n%2 == 0 {
			sink = d.start("sink")
		}
		held := d.settle(&f)
		for _, extent := range extents {
			if want := extent == "none" && !f.same || slices.Contains(f.held, extent); held[extent] != want {
				t.Errorf("%s under %s: held is %v, want %v", f.table, extent, held[extent], want)
			}
			if unsure := f.byHand != "" && extent == "all"; foretold[extent] != held[extent] && !unsure {
				t.Errorf("%s under %s: held is %v, and check-ddl says %v", f.table, extent, held[extent], foretold[extent])
			}
			d.follows(extent, &f)
		}
	}
}

// withExtents replaces the sink by three.
func withExtents(text string) string {
	head, rest, _ := strings.Cut(text, "sinks:\n")
	_, entries, _ := strings.Cut(rest, "    tables:\n")
	entries, tail, _ := strings.Cut(entries, "console:")
	var b strings.Builder
	for _, extent := range extents {
		fmt.Fprintf(&b, "  %s:\n    type: postgres\n    evolve: %s\n    dsn: ${DESTINATION_DSN}\n    tables:\n", extent, extent)
		for _, line := range strings.Split(strings.TrimSpace(entries), "\n") {
			from, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "- {from: public."), ",")
			b.WriteString("      " + strings.Replace(strings.TrimSpace(line), ", deletes", ", to: "+extent+"."+from+", deletes", 1) + "\n")
		}
	}
	return head + "sinks:\n" + b.String() + "console:" + tail
}

// settle waits until every sink is at the source's present, and does for held ones what they ask for. It
// tells which were held.
func (d *deployment) settle(f *following) map[string]bool {
	d.t.Helper()
	target := scan[string](d.t, d.source, "select pg_current_wal_insert_lsn()::text")
	held, done := map[string]bool{}, map[string]bool{}
	eventually(d.t, 60*time.Second, "the sinks to reach "+target, func() bool {
		for name, reason := range d.heldSinks() {
			if held[name] = true; done[reason] || f == nil {
				continue
			}
			done[reason] = true
			d.obey(name, reason, f)
		}
		return scan[bool](d.t, d.destination, "select to_regclass('sluice.progress') is not null") &&
			scan[bool](d.t, d.destination, "select count(*) = $2 and bool_and(complete and commit_lsn >= $1::text::pg_lsn) from sluice.progress", target, len(extents))
	})
	return held
}

// obey runs what a held sink says.
func (d *deployment) obey(name, reason string, f *following) {
	d.t.Helper()
	_, run, _ := strings.Cut(reason, "run: ")
	run, _, ok := strings.Cut(run, " -- the sink looks again")
	if !ok {
		d.t.Fatalf("sink %s is held without a statement: %s", name, reason)
	}
	series := `sluice_sink_held{reason="schema",sink="` + name + `",table="public.` + f.table + `"}`
	eventually(d.t, 30*time.Second, series+" to be 1", func() bool { return d.metric(series) == "1" }) // 0 between one reason and the next
	if f.byHand != "" {
		run = strings.ReplaceAll(f.byHand, "$", `"`+name+`"`)
	}
	execAt(d.t, d.destination, run) // in one transaction: a sink that looks in the middle would be held for what is left to do
}

// heldSinks gives the reasons of the sinks that are held, by what sluice status says.
func (d *deployment) heldSinks() map[string]string {
	d.t.Helper()
	out, _ := d.command("status", "--json")
	var answer struct {
		Processes map[string]struct {
			Status struct {
				Sinks map[string]struct{ State, Reason string }
			}
		}
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&answer); err != nil {
		d.t.Fatalf("%s: %v", out, err)
	}
	held := map[string]string{}
	for _, p := range answer.Processes {
		for name, s := range p.Status.Sinks {
			if s.State == "held" {
				held[name] = s.Reason
			}
		}
	}
	return held
}

// metric gives the value of a series of the sinks.
func (d *deployment) metric(series string) string {
	d.t.Helper()
	answer, err := http.Get("http://" + d.sinkConsole + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n"+series+" ")
	value, _, _ := strings.Cut(after, "\n")
	return value
}

// follows compares a table, by the source's columns, and checks that only add leaves more of them.
func (d *deployment) follows(extent string, f *following) {
	d.t.Helper()
	there := `"` + extent + `".` + f.table
	columns := columnsOf(d.t, d.source, "public."+f.table)
	list := pgx.Identifier(columns).Sanitize()
	list = strings.ReplaceAll(list, `"."`, `", "`)
	want, got := texts(d.t, d.source, "select "+list+" from "+f.table), texts(d.t, d.destination, "select "+list+" from "+there)
	if !slices.Equal(want, got) {
		d.t.Errorf("%s holds\n  %s\nwant\n  %s", there, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	have := columnsOf(d.t, d.destination, there)
	slices.Sort(columns)
	slices.Sort(have)
	if extent != "add" && !slices.Equal(columns, have) {
		d.t.Errorf("%s has the columns %v, the source's %v", there, have, columns)
	}
}

func columnsOf(t *testing.T, dsn, table string) []string {
	t.Helper()
	return strings.Split(scan[string](t, dsn, "select string_agg(attname, ',' order by attnum) from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped", table), ",")
}

// A sink that is killed while schema changes come, again and again, ends with the source's rows.
func TestSinkKilledAmongSchemaChanges(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 18, []string{"public.t"}, func(text string) string {
		text = strings.Replace(text, "kafka:", "  ddl: trigger\nkafka:", 1) // a default is forgotten in a rewrite
		return strings.Replace(text, "type: postgres\n", "type: postgres\n    evolve: all\n", 1)
	})
	d.exec("create table t (id int primary key, a int, v int)", "insert into t select i, i, i from generate_series(1, 2000) i")
	d.start("capture")
	sink := d.start("sink")
	d.caughtUp(30 * time.Second)
	name := "v"
	for n := range 12 {
		next := fmt.Sprintf("v%d", n)
		d.exec(fmt.Sprintf("update t set %s = %s + 1 where id %% 7 = %d", name, name, n%7),
			"alter table t rename "+name+" to "+next,
			fmt.Sprintf("alter table t add c%d int default %d", n, n),
			fmt.Sprintf("insert into t (id, %s) values (%d, 1)", next, 10000+n),
			fmt.Sprintf("update t set %s = %d where id %% 5 = 0", next, n))
		name = next
		if n%3 == 2 {
			d.exec(fmt.Sprintf("alter table t drop c%d", n-1), "alter table t alter a type "+[]string{"bigint", "numeric", "text", "text"}[n/3])
		}
		d.killSoon(sink)
		sink = d.start("sink")
	}
	d.caughtUp(60 * time.Second)
	d.same("public.t")
	d.topicsHold()
}

// killSoon kills a sink when it has written something more, or has had time to.
func (d *deployment) killSoon(p *process.Process) {
	d.t.Helper()
	was := scan[string](d.t, d.destination, "select commit_lsn::text from sluice.progress")
	deadline := time.Now().Add(300 * time.Millisecond)
	for time.Now().Before(deadline) && scan[string](d.t, d.destination, "select commit_lsn::text from sluice.progress") == was {
		continue
	}
	p.Kill()
}
