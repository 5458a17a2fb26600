package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// upheaval is what happens to whole tables at the source, and what destinations hold of them at the end:
// rows as sorted texts, by table, where a table that is not named does not exist. All have the columns id and a.
type upheaval struct {
	name   string
	listed []string // tables of the sinks
	before []string // statements, and all sinks hold what they wrote
	change []string
	found  map[string]string // what the status says, in the end, of tables that capture looks for
	after  []string
	held   []string // extents of evolve under which the sink waits for a person
	rows   map[string]string
}

var upheavals = []upheaval{
	{name: "table renamed, both names listed", listed: []string{"u_old", "u_new"},
		before: []string{"create table u_old (id int primary key, a int)", "insert into u_old values (1, 1), (2, 2), (3, 3)"},
		change: []string{"alter table u_old rename to u_new", "insert into u_new values (4, 4)", "update u_new set a = 20 where id = 2", "delete from u_new where id = 3"},
		rows:   map[string]string{"u_old": "(1,1) (2,2) (3,3)", "u_new": "(2,20) (4,4)"}},
	{name: "table renamed, the old name listed", listed: []string{"u_only"},
		before: []string{"create table u_only (id int primary key, a int)", "insert into u_only values (1, 1)"},
		change: []string{"alter table u_only rename to u_elsewhere", "insert into u_elsewhere values (2, 2)"},
		rows:   map[string]string{"u_only": "(1,1)"}},
	{name: "table renamed out of the pattern and back", listed: []string{"u_away"},
		before: []string{"create table u_away (id int primary key, a int)", "insert into u_away values (1, 1)"},
		change: []string{"alter table u_away rename to away", "insert into away values (2, 2)", "alter table away rename to u_away", "insert into u_away values (3, 3)"},
		found:  map[string]string{"public.u_away": "its changes under that name are not in Kafka"},
		rows:   map[string]string{"u_away": "(1,1) (3,3)"}},
	{name: "schema set, both names listed", listed: []string{"u_moved", "kept.u_moved"},
		before: []string{"create table u_moved (id int primary key, a int)", "insert into u_moved values (1, 1)"},
		change: []string{"alter table u_moved set schema kept", "insert into kept.u_moved values (2, 2)", "update kept.u_moved set a = 10 where id = 1"},
		rows:   map[string]string{"u_moved": "(1,1)", "kept_u_moved": "(1,10) (2,2)"}},
	{name: "two tables exchange names", listed: []string{"u_left", "u_right"},
		before: []string{"create table u_left (id int primary key, a int)", "insert into u_left values (1, 1)", "create table u_right (id int primary key, a int)", "insert into u_right values (2, 2)"},
		change: []string{"alter table u_left rename to u_through", "alter table u_right rename to u_left", "alter table u_through rename to u_right",
			"update u_left set a = 20", "update u_right set a = 10"},
		held: []string{"add", "none"},
		rows: map[string]string{"u_left": "(2,20)", "u_right": "(1,10)"}},
	{name: "table dropped", listed: []string{"u_dropped"},
		before: []string{"create table u_dropped (id int primary key, a int)", "insert into u_dropped values (1, 1)"},
		change: []string{"drop table u_dropped"},
		rows:   map[string]string{"u_dropped": "(1,1)"}},
	{name: "table dropped and created again", listed: []string{"u_again"},
		before: []string{"create table u_again (id int primary key, a int)", "insert into u_again values (1, 1)"},
		change: []string{"drop table u_again", "create table u_again (id int primary key, a int)"},
		found:  map[string]string{"public.u_again": ""},
		after:  []string{"insert into u_again values (2, 2)"},
		held:   []string{"add", "none"},
		rows:   map[string]string{"u_again": "(2,2)"}},
	{name: "table created", listed: []string{"u_created", "u_late"},
		change: []string{"create table u_created (id int primary key, a int)", "create table u_late (id int primary key, a int)", "insert into u_late values (1, 1), (2, 2)"},
		found:  map[string]string{"public.u_created": "", "public.u_late": ""},
		after:  []string{"insert into u_created values (1, 1)", "insert into u_late values (3, 3)", "update u_late set a = 20 where id = 2"},
		rows:   map[string]string{"u_created": "(1,1)", "u_late": "(1,1) (2,20) (3,3)"}},
	{name: "partitions made, attached and detached", listed: []string{"u_parts", "u_parts_a"},
		before: []string{"create table u_parts (id int primary key, a int) partition by range (id)", "create table u_parts_a partition of u_parts for values from (0) to (10)",
			"insert into u_parts values (1, 1), (2, 2)"},
		change: []string{"create table u_parts_b partition of u_parts for values from (10) to (20)", "insert into u_parts values (11, 11)",
			"create table part_c (id int primary key, a int)", "insert into part_c values (21, 21), (22, 22)",
			"alter table u_parts attach partition part_c for values from (20) to (30)", "insert into u_parts values (23, 23)", "update u_parts set a = 220 where id = 22",
			"alter table u_parts detach partition u_parts_a"},
		found: map[string]string{"public.u_parts_a": ""},
		after: []string{"insert into u_parts_a values (3, 3)", "delete from u_parts_a where id = 1", "update u_parts_a set a = 20 where id = 2"},
		rows:  map[string]string{"u_parts": "(1,1) (11,11) (2,2) (22,220) (23,23)", "u_parts_a": "(2,20) (3,3)"}},
	{name: "table out of the publication for a time", listed: []string{"u_left_out"},
		before: []string{"create table u_left_out (id int primary key, a int)", "insert into u_left_out values (1, 1), (2, 2)"},
		change: []string{"alter publication % drop table only u_left_out", "insert into u_left_out values (3, 3), (4, 4)", "delete from u_left_out where id = 1"},
		found:  map[string]string{"public.u_left_out": "it was taken out of the publication"},
		after:  []string{"insert into u_left_out values (5, 5)", "update u_left_out set a = 40 where id = 4"},
		rows:   map[string]string{"u_left_out": "(1,1) (2,2) (4,40) (5,5)"}},
}

// What becomes of whole tables leaves at every destination what the records say, and holds the sink where
// rows would be lost by it.
func TestSinkAmongUpheavals(t *testing.T) {
	t.Parallel()
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprintf("PostgreSQL %d", version), func(t *testing.T) { testUpheavals(t, version) })
	}
}

func testUpheavals(t *testing.T, version int) {
	t.Parallel()
	d := newDeployment(t, version, []string{"public.u_plain"}, func(text string) string {
		text = strings.Replace(text, "tables: [public.u_plain]", `tables: ["public.u_*", "kept.*"]`, 1)
		var lines strings.Builder
		for _, u := range upheavals {
			for _, name := range u.listed {
				fmt.Fprintf(&lines, "      - {from: public.%s, deletes: hard}\n", name)
			}
		}
		text = withExtents(strings.Replace(text, "      - {from: public.u_plain, deletes: hard, truncate: apply}\n", lines.String(), 1))
		return strings.NewReplacer("from: public.kept.", "from: kept.", ".kept.u_moved,", ".kept_u_moved,").Replace(text)
	})
	d.exec("create schema kept", "create table kept.base (id int primary key)")
	each := func(f func(u *upheaval)) {
		for i := range upheavals {
			f(&upheavals[i])
		}
	}
	run := func(statements []string) {
		for _, s := range statements {
			d.exec(strings.ReplaceAll(s, "%", "sluice_"+d.name))
		}
	}
	each(func(u *upheaval) { run(u.before) })
	d.start("capture")
	d.start("sink")
	d.settle(nil)
	each(func(u *upheaval) { run(u.change) })
	each(func(u *upheaval) {
		for table, reason := range u.found {
			d.awaitTable(table, true, reason)
		}
	})
	each(func(u *upheaval) { run(u.after) })
	held := d.obeyAll()
	each(func(u *upheaval) { d.endsAs(u, held) })
}

// obeyAll waits until every sink is at the source's present, runs what held ones say, and lists for each
// extent the tables that held it.
func (d *deployment) obeyAll() map[string][]string {
	d.t.Helper()
	target := scan[string](d.t, d.source, "select pg_current_wal_insert_lsn()::text")
	held, done := map[string][]string{}, map[string]bool{}
	eventually(d.t, 90*time.Second, "the sinks to reach "+target, func() bool {
		for extent, reason := range d.heldSinks() {
			if done[extent+reason] {
				continue
			}
			done[extent+reason] = true
			table, _, _ := strings.Cut(strings.TrimPrefix(reason, "held at table public."), ": ")
			held[extent] = append(held[extent], table)
			d.runAsTold(reason)
		}
		return scan[bool](d.t, d.destination, "select count(*) = $2 and bool_and(complete and commit_lsn >= $1::text::pg_lsn) from sluice.progress", target, len(extents))
	})
	return held
}

// runAsTold runs the statements that a held sink names.
func (d *deployment) runAsTold(reason string) {
	d.t.Helper()
	_, run, _ := strings.Cut(reason, "run: ")
	run, _, ok := strings.Cut(run, " -- the sink looks again")
	if !ok {
		d.t.Fatalf("held without a statement: %s", reason)
	}
	execAt(d.t, d.destination, run) // in one transaction, as obey does
}

// endsAs compares what destinations hold, and what held them.
func (d *deployment) endsAs(u *upheaval, held map[string][]string) {
	d.t.Helper()
	for _, extent := range extents {
		was := slices.ContainsFunc(u.listed, func(name string) bool { return slices.Contains(held[extent], name) })
		if want := slices.Contains(u.held, extent); was != want {
			d.t.Errorf("%s, under %s: held is %v, want %v", u.name, extent, was, want)
		}
		for _, name := range u.listed {
			name = strings.ReplaceAll(name, ".", "_")
			got := "no table"
			if scan[bool](d.t, d.destination, "select to_regclass($1) is not null", `"`+extent+`".`+name) {
				got = strings.Join(texts(d.t, d.destination, "select id, a from "+`"`+extent+`".`+name), " ")
			}
			if want := u.rows[name]; got != want {
				d.t.Errorf("%s, under %s: %s holds %s, want %s", u.name, extent, name, got, want)
			}
		}
	}
}
