package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// Rows of which changes are parked are no drift, whatever they hold, in tables that are compared by digests, row by row
// and key by key, and in one without key. They are counted, other drift beside them is found and repaired, and they stay
// as they are until they are replayed.
func TestVerifyCountsParkedRowsApart(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.people", "public.pets", "public.visits", "public.loose"}, func(text string) string {
		return strings.Replace(text, "sinks:\n", "transforms:\n  - {table: public.visits, rename: {number: id}}\nsinks:\n", 1)
	})
	d.exec("create table people (id int primary key, name text, age int, note text)", "insert into people select g, 'name', 20, 'n' from generate_series(1, 6000) g",
		"create table pets (id int primary key, name text)", "insert into pets select g, 'pet' from generate_series(1, 10) g",
		"create table visits (number int, region text, note text, primary key (region, number))", "insert into visits select g, 'it''s, ' || g % 3, 'v' from generate_series(1, 300) g",
		"create table loose (v text)", "alter table loose replica identity full", "insert into loose values ('a'), ('b')")
	execAt(t, d.destination, "create table people (id int primary key, name varchar(10), age smallint, note text)",
		"create table pets (id int primary key, name text check (name not like 'bad%'))",
		"create table visits (id numeric(10,2), region text, note varchar(10), primary key (region, id))",
		"create table stamps (id numeric(10,2), region text, foreign key (region, id) references visits)", "create table loose (v varchar(10))")
	capture, sinks := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	execAt(t, d.destination, "insert into stamps values (7, 'it''s, 1')")

	d.exec("update people set name = 'much too long a name' where id in (1, 2, 5999)", "update people set age = 70000 where id in (3, 5500)",
		"insert into people values (6001, 'much too long a name', 20, 'n')", "update people set id = -4, name = 'much too long a name' where id = 4",
		"update pets set name = 'bad' where id = 2", "update pets set name = 'bad' where id = 3", "update pets set name = 'pet' where id = 3", // as it is there, by now
		"delete from visits where number = 7", "update visits set note = 'much too long a note' where number in (8, 300)",
		"insert into loose values ('much too long a value'), ('short')", "update loose set v = 'too long for it, too' where v = 'a'")
	d.reached("copy")
	execAt(t, d.destination, "update people set note = 'tampered' where id = 2", "delete from people where id = 1") // parked all the same

	parked := map[string]int64{"people": 8, "pets": 1, "visits": 3, "loose": 3} // of people with both keys of the row whose key was changed
	known := func(results map[string]*verified) {
		t.Helper()
		for table, want := range parked {
			if r := results["copy public."+table+" public."+table]; r == nil || r.Parked != want || r.Missing+r.Extra+r.Different+r.Undecided != 0 {
				t.Errorf("%s: %+v, want %d parked", table, r, want)
			}
		}
	}
	results, rows := d.verify(0)
	known(results)
	want := []string{"copy.public.pets parked 2 ", "copy.public.visits parked 7.00/it's, 1 ", "copy.public.visits parked 8.00/it's, 2 ", "copy.public.visits parked 300.00/it's, 0 "}
	for _, id := range []int{1, 2, 3, 4, -4, 5500, 5999, 6001} {
		want = append(want, fmt.Sprintf("copy.public.people parked %d ", id))
	}
	slices.Sort(want)
	if !slices.Equal(rows, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	d.says([]string{"verify", "--log-level", "error"}, "parked copy: public.people to public.people: 8 parked (", "sluice dlq list copy")
	d.expectCount("select coalesce(sum(rows), 0) from sluice.drift", 0)

	// Other drift beside them is drift, and is repaired; what is parked is left alone.
	before := d.parked("copy")
	execAt(t, d.destination, "update people set note = 'tampered' where id in (10, 5000)", "insert into people values (7000, 'x', 1, 'x')", "delete from visits where id = 9")
	results, rows = d.verify(3)
	if r := results["copy public.people public.people"]; r.Different != 2 || r.Extra != 1 || r.Parked != 8 || len(rows) != len(want)+4 {
		t.Errorf("%+v, %v", r, rows)
	}
	if out, status := d.command("verify", "copy", "--repair", "--log-level", "error"); status != 0 {
		t.Errorf("repair: exit %d:\n%s", status, out)
	}
	results, _ = d.verify(0)
	known(results)
	if after := d.parked("copy"); len(after) != len(before) {
		t.Errorf("parked before the repair\n%v\nand after\n%v", before, after)
	}
	d.expectCount("select count(*) from visits where id = 7", 1)
	d.expectCount("select count(*) from people where id in (10, 5000, 7000) and note = 'n'", 2)

	// A table without key that has both is not repaired: a replay would make rows twice.
	execAt(t, d.destination, "insert into loose values ('x'), ('y'), ('z')")
	out, status := d.command("verify", "copy", "--table", "public.loose", "--repair", "--log-level", "error")
	if status != 3 || !strings.Contains(out, "not repaired while changes of it are parked") {
		t.Errorf("repair of a table without key: exit %d:\n%s", status, out)
	}
	execAt(t, d.destination, "delete from loose where v in ('x', 'y', 'z')", "alter table people alter name type text, alter age type int", "alter table pets drop constraint pets_name_check",
		"drop table stamps", "alter table visits alter note type text", "alter table loose alter v type text")
	d.says([]string{"dlq", "replay", "copy", "--all"}, "changes are applied")
	d.exec("update people set note = 'again' where id in (1, 2)")
	d.reached("copy")
	parked = map[string]int64{"people": 0, "pets": 0, "visits": 0, "loose": 0}
	out, status = d.command("verify", "copy", "--repair", "--log-level", "error") // what was deleted here and only updated since
	if status != 0 {
		t.Errorf("after the replay: exit %d:\n%s", status, out)
	}
	results, _ = d.verify(0)
	known(results)
	d.same("public.people", "public.pets", "public.loose")
	d.stop(sinks)
	d.stop(capture)
}

// While rows are parked and replayed all the time nothing is ever called drift. SLUICE_SEED replays.
func TestVerifyWhileParkedRowsComeAndGo(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 21))
	d := newDeployment(t, drawn(seed), []string{"public.people"}, func(text string) string {
		return strings.Replace(text, "    breaker: off\n", "    breaker: off\n    parking: {rows: 100000, share: 100%}\n", 1)
	})
	d.exec("create table people (id int primary key, name text)", "insert into people select g, 'name' from generate_series(1, 400) g")
	capture, sinks := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	verified := 0
	for range 8 {
		execAt(t, d.destination, "alter table people add constraint bad check (name not like 'bad%') not valid")
		id := 1 + random.IntN(300)
		d.exec(fmt.Sprintf("update people set name = 'bad' where id between %d and %d", id, id+random.IntN(100)),
			fmt.Sprintf("delete from people where id = %d", id), fmt.Sprintf("insert into people values (%d, 'bad') on conflict (id) do update set name = 'bad again'", 1+random.IntN(500)))
		execAt(t, d.destination, "alter table people drop constraint bad")
		replay := d.start("dlq", "replay", "copy", "--all")
		for running := true; running; verified++ {
			d.verify(0)
			select {
			case <-replay.Done():
				running = false
			default:
			}
		}
	}
	t.Log("verified", verified, "times")
	d.reached("copy")
	d.says([]string{"dlq", "replay", "copy", "--all"})
	d.caughtUp(60 * time.Second)
	d.verify(0)
	d.same("public.people")
	d.stop(sinks)
	d.stop(capture)
}
