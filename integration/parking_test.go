package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/sink"
)

// parkedRow is a line of sluice dlq list --json.
type parkedRow struct {
	Key, Error, SQLState string
	Changes              int
}

// parked gives what is parked at a sink, by key.
func (d *deployment) parked(name string) map[string]parkedRow {
	d.t.Helper()
	out, status := d.command("dlq", "list", name, "--json", "--log-level", "error")
	var all []parkedRow
	if err := json.Unmarshal([]byte(out), &all); err != nil || status != 0 {
		d.t.Fatalf("%d: %v: %s", status, err, out)
	}
	rows := map[string]parkedRow{}
	for _, r := range all {
		rows[r.Key] = r
	}
	return rows
}

// strict makes the destination of newParking refuse rows.
var strict = []string{
	"create table people (id int primary key, name varchar(10), age int check (age < 150), city text not null, note text)",
	"create table pets (id int primary key, owner int references people, name text)",
}

// relaxed is its repair.
var relaxed = []string{
	"alter table people alter name type text", "alter table people drop constraint people_age_check", "alter table people alter city drop not null",
	"alter table pets drop constraint pets_owner_fkey",
}

func newParking(t *testing.T, edit func(string) string) *deployment {
	d := newDeployment(t, 15, []string{"public.people", "public.pets", "public.loose"}, edit)
	d.exec("create table people (id int primary key, name text, age int, city text, note text)", "create table pets (id int primary key, owner int, name text)",
		"create table loose (v text)", "alter table loose replica identity full", "insert into people select g, 'name', 20, 'here', null from generate_series(1, 1000) g")
	execAt(t, d.destination, strict...)
	execAt(t, d.destination, "create table loose (v varchar(10))")
	return d
}

// Rows that the destination refuses are parked out of thousands, also out of a transaction that is larger than a batch, and what
// follows them waits in order while all else flows. When the destination is repaired they are replayed, and all is equal.
func TestParkedRows(t *testing.T) {
	t.Parallel()
	d := newParking(t, func(text string) string { return text + "memory: 32MiB\n" })
	d.start("capture")
	sinks := d.start("sink", "copy")
	d.caughtUp(60 * time.Second)

	d.exec(`begin;
		insert into people select g, 'name', 20, 'here', repeat(md5(g::text), 4) from generate_series(1001, 20000) g;
		update people set name = 'much too long a name' where id in (500, 1500, 15000);
		update people set city = null where id = 2500; insert into people values (20001, 'name', 200, 'here');
		insert into pets values (1, 20001, 'a'), (2, 1, 'b'); insert into loose values ('much too long a value'), ('short');
		commit`, "update people set note = 'behind' where id in (1500, 1501)", "update people set id = -1501 where id = 1501", "update people set id = -1500 where id = 1500", "delete from people where id = 2500")
	d.reached("copy")
	d.expectCount("select count(*) from people", 20_000)
	d.expectCount("select count(*) from people where id = 1500 and name = 'name' and note <> 'behind'", 1)
	d.expectCount("select count(*) from people where id = -1501 and note = 'behind'", 1)
	d.expectCount("select count(*) from pets", 1)
	d.expectCount("select count(*) from loose", 1)
	d.expectCount("select count(*) from people where id = 2500 and city = 'here'", 1)
	d.expectCount("select parked from sluice.progress", 11)
	got := d.parked("copy")
	for key, want := range map[string]struct {
		changes  int
		sqlstate string
	}{
		"public.people/id=500": {1, "22001"}, "public.people/id=1500": {3, "22001"}, "public.people/id=-1500": {1, ""}, "public.people/id=15000": {1, "22001"},
		"public.people/id=2500": {2, "23502"}, "public.people/id=20001": {1, "23514"}, "public.pets/id=1": {1, "23503"},
	} {
		if r := got[key]; r.Changes != want.changes || r.SQLState != want.sqlstate {
			t.Errorf("%s: %+v, want %+v", key, r, want)
		}
	}
	if len(got) != 8 { // and the row without key
		t.Errorf("%d rows are parked: %v", len(got), got)
	}
	if s := d.sinkStates()["copy"]; s.State != sink.StateRunning || s.Parked != 11 {
		t.Errorf("%+v", s)
	}
	says(t, d.metric(`sluice_parked_records{sink="copy",table="public.people"}`), "9")
	says(t, d.metric(`sluice_sync_records_total{result="parked",sink="copy",table="public.people"}`), "9")
	d.says([]string{"status"}, "11 records parked")
	d.says([]string{"dlq", "show", "copy", "public.people/id=1500"}, "update at", "name = much too long a name", `column "name"`, "value too long for type character varying(10)",
		"widen the destination column", "then sluice dlq replay copy public.people/id=1500", "reason earlier changes of the row are parked", "linked public.people/id=-1500")

	says(t, d.fails(2, "dlq", "replay", "copy"), "say --all")
	says(t, d.fails(2, "dlq", "replay", "copy", "public.people/id=7"), "nothing of public.people/id=7 is parked")
	says(t, d.fails(1, "dlq", "replay", "copy", "public.people/id=500"), "0 changes are applied", "value too long", "stay parked")
	sinks.Kill()
	sinks = d.start("sink", "copy") // what is parked is known again
	d.exec("update people set note = 'behind' where id = 500")
	d.reached("copy")
	if r := d.parked("copy")["public.people/id=500"]; r.Changes != 2 {
		t.Errorf("after a restart: %+v", r)
	}
	execAt(t, d.destination, relaxed...)
	execAt(t, d.destination, "alter table loose alter v type text")
	d.says([]string{"dlq", "replay", "copy", "public.people/id=-1500"}, "4 changes are applied")
	d.says([]string{"dlq", "replay", "copy", "--all"}, "8 changes are applied")
	d.says([]string{"dlq", "list", "copy"}, "nothing is parked at sink copy")
	d.exec("update people set note = 'flows' where id in (500, -1500)")
	d.caughtUp(60 * time.Second)
	d.same("public.people", "public.pets", "public.loose")
	d.stop(sinks)
}

// What is dropped is forgotten: the row is as it was until it changes again.
func TestDroppedRows(t *testing.T) {
	t.Parallel()
	d := newParking(t, nil)
	d.start("capture")
	sinks := d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	d.exec("update people set name = 'much too long a name' where id = 5", "update people set note = 'behind' where id = 5")
	d.reached("copy")
	says(t, d.fails(2, "dlq", "drop", "copy", "--all"), "public.people/id=5 ", "nobody to ask")
	d.says([]string{"dlq", "drop", "copy", "public.people/id=5", "--yes"}, "2 changes are dropped")
	d.expectCount("select count(*) from people where id = 5 and name = 'name' and note is null", 1)
	d.exec("update people set name = 'short' where id = 5")
	d.caughtUp(60 * time.Second)
	d.same("public.people")
	d.stop(sinks)
}

// The process of the sink is killed at every step of parking and of replaying. Nothing is lost or passed.
func TestParkingUnderKills(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 77))
	path, err := mortal()
	if err != nil {
		t.Fatal(err)
	}
	d := newParking(t, nil)
	d.start("capture")
	sinks := d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	die := func(point string, times int, work func()) {
		d.stop(sinks)
		dying := d.launch(path, []string{fmt.Sprintf("SLUICE_CRASH=%s@%d", point, times)}, "sink", "copy")
		work()
		select {
		case <-dying.Done():
		case <-time.After(15 * time.Second):
			t.Logf("%s@%d did not come by", point, times)
			d.stop(dying)
		}
		sinks = d.start("sink", "copy")
	}
	for step, point := range []string{"parked", "mapped", "applied", "committed", "sent", "acked"} {
		die(point, 1+random.IntN(2)*(step%5%4), func() { // of the first and the last there may be one
			for i := range 5 {
				id := 100*step + i + 1
				d.exec(fmt.Sprintf("update people set name = 'much too long a name' where id in (%d, %d)", id, id+50),
					fmt.Sprintf("begin; update people set note = 'behind %d' where id in (%d, %d, 999); insert into loose values ('much too long a value'), ('%d'); commit", i, id, id+50, id))
			}
		})
		d.reached("copy")
	}
	d.expectCount("select count(*) from people where name <> 'name' or note is not null", 1) // 999
	d.expectCount("select count(*) from loose", 30)
	execAt(t, d.destination, relaxed...)
	execAt(t, d.destination, "alter table loose alter v type text")
	for _, point := range []string{"parked", "applied", "committed", "replayed"} {
		die(point, 2+random.IntN(20), func() { d.start("dlq", "replay", "copy", "--all") })
		eventually(t, 60*time.Second, "the next process to obey", func() bool { return len(d.parked("copy")) == 0 })
		execAt(t, d.destination, "alter table people add constraint bad check (note not like 'bad%') not valid", "alter table loose add constraint bad check (v not like 'bad%') not valid")
		d.exec("update people set note = 'bad' where id <= 30", "insert into loose select 'bad' from generate_series(1, 5)", "update people set note = 'good' where id <= 30")
		d.reached("copy")
		execAt(t, d.destination, "alter table people drop constraint bad", "alter table loose drop constraint bad")
	}
	d.says([]string{"dlq", "replay", "copy", "--all"}, "65 changes are applied")
	d.exec("update people set note = 'flows'")
	d.caughtUp(60 * time.Second)
	d.same("public.people", "public.loose")
	d.stop(sinks)
}

// Beyond its limits parking ends, and the sink stops as it would without. Through a mapping and a condition rows are parked as the
// source has them, so that a corrected mapping is used when they are replayed.
func TestParkingLimitsAndMappings(t *testing.T) {
	t.Parallel()
	entry := "{from: public.people, columns: {id: id, code: name, years: age}, where: age > 30, to: public.codes, deletes: hard, truncate: apply}"
	d := newDeployment(t, 15, []string{"public.people"}, func(text string) string {
		text = strings.Replace(text, "breaker: off", "breaker: off\n    parking: {rows: 3, share: 0%}", 1)
		return strings.Replace(text, "{from: public.people, deletes: hard, truncate: apply}", entry, 1)
	})
	d.exec("create table people (id int primary key, name text, age int)", "insert into people select g, 'abc', 20 + g from generate_series(1, 100) g")
	execAt(t, d.destination, "create table codes (id int primary key, code varchar(3), years int)")
	d.start("capture")
	sinks := d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	d.exec("update people set name = 'abcd' where id in (1, 50)", "update people set age = 10 where id = 50", "update people set age = 90 where id = 1")
	d.reached("copy")
	if got := d.parked("copy"); got["public.people/id=50"].Changes != 2 || got["public.people/id=1"].Changes != 1 || len(got) != 2 {
		t.Errorf("%v", got)
	}
	d.exec("update people set name = 'abcd' where id = 60")
	select {
	case <-sinks.Done():
	case <-time.After(60 * time.Second):
		t.Fatal("it parks on")
	}
	out, _ := d.command("sink", "copy")
	says(t, out, "parking ends: 4 of the", "{rows: 3, share: 0%}", "value too long", "nothing was skipped")
	d.edit("code: name", "code: 'name.substring(0, 3)'")
	d.edit("rows: 3", "rows: 30")
	sinks = d.start("sink", "copy")
	d.reached("copy")
	d.says([]string{"dlq", "replay", "copy", "--all"}, "3 changes are applied")
	want := texts(t, d.source, "select id, left(name, 3), age from people where age > 30")
	if got := texts(t, d.destination, "select id, code, years from codes"); firstDifferenceOf(want, got) != "" {
		t.Errorf("after the replay: %s", firstDifferenceOf(want, got))
	}
	d.stop(sinks)
}

func firstDifferenceOf(want, got []string) string {
	if strings.Join(want, "\n") == strings.Join(got, "\n") {
		return ""
	}
	return firstDifference(want, got)
}
