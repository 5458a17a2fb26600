package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/sink"
)

// withMore adds sinks to the one that copies, and lets its breaker be as it is by default.
func withMore(sinks string) func(string) string {
	return func(text string) string {
		text = strings.Replace(text, "    breaker: off\n", "", 1)
		return strings.Replace(text, "console:", sinks+"console:", 1)
	}
}

func another(name, keys, tables string) string {
	return fmt.Sprintf("  %s:\n    type: postgres\n    dsn: ${DESTINATION_DSN}\n%s    tables: [%s]\n", name, keys, tables)
}

// sinkStates are those that the process of the sinks tells.
func (d *deployment) sinkStates() map[string]sink.Status {
	d.t.Helper()
	body, err := fetch("http://" + d.sinkConsole + "/api/status")
	if err != nil {
		return nil // it starts
	}
	var answer struct{ Sinks map[string]sink.Status }
	if err := json.Unmarshal(body, &answer); err != nil {
		d.t.Fatalf("%s: %v", body, err)
	}
	return answer.Sinks
}

// awaitState waits until a sink is in a state.
func (d *deployment) awaitState(name string, state sink.State) (s sink.Status) {
	d.t.Helper()
	eventually(d.t, 60*time.Second, name+" to be "+string(state), func() bool {
		s = d.sinkStates()[name]
		return s.State == state
	})
	return s
}

// says runs a command that must end with 0, and looks for parts of what it prints.
func (d *deployment) says(args []string, parts ...string) {
	d.t.Helper()
	out, status := d.command(args...)
	if status != 0 {
		d.t.Errorf("%v ends with %d", args, status)
	}
	says(d.t, strings.Join(strings.Fields(out), " "), parts...)
}

// A few deletions are held that would take many rows of a table with them which is not the sink's. It is decided as any
// other; the destination's foreign key does the rest.
func TestBreakerHoldsACascade(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, drawn(seedOf(t)), []string{"public.people"}, withMore(""))
	d.exec("create table people (id int primary key, name text)", "insert into people select g, 'name ' || g from generate_series(1, 3000) g")
	d.start("capture")
	sinks := d.start("sink")
	d.caughtUp(60 * time.Second)
	execAt(t, d.destination, "create table bills (id int primary key, person int references people on delete cascade)",
		"insert into bills select g, g % 30 + 1 from generate_series(1, 6000) g")
	d.stop(sinks) // foreign keys are looked up once
	sinks = d.start("sink")
	d.exec("delete from people where id <= 2")
	d.caughtUp(60 * time.Second)
	d.exec("begin; insert into people values (4000, 'new'); delete from people where id between 3 and 7; commit")
	w := d.awaitState("copy", sink.StateHeld).Waiting
	if w == nil || w.Rows != 1400 || w.Of != 5600 || w.Kind != sink.HoldDeletes || w.To != "public.people" || w.Reached != "public.bills" || len(w.Samples) != 5 {
		t.Fatalf("%+v", w)
	}
	d.says([]string{"status"}, "sink copy held", "1400 rows of public.bills, which refer to public.people, would be removed or changed with what is deleted there, 25% of about 5600 within 1m")
	d.expectCount("select count(*) from bills", 5600)
	sinks.Kill()
	sinks = d.start("sink")
	d.awaitState("copy", sink.StateHeld)
	d.says([]string{"approve", "copy"}, "it is applied")
	d.caughtUp(60 * time.Second)
	d.same("public.people")
	d.expectCount("select count(*) from bills", 4600)
	d.stop(sinks)
}

// A DELETE of 50,000 rows by accident is held, at two sinks, while the sink of another table and the slot go on.
// One is approved, one skipped, under kills of the process of the sinks.
func TestBreakerHoldsAnAccident(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 11))
	d := newDeployment(t, 15, []string{"public.people"}, withMore(
		another("second", "", "{from: public.people, to: second.people, deletes: hard}")+
			another("other", "", "{from: public.free, to: other.free, deletes: hard}")))
	d.edit("tables: [public.people]", "tables: [public.people, public.free]")
	d.exec("create table people (id int primary key, name text)", "create table free (id int primary key, v text)",
		"insert into people select g, 'name ' || g from generate_series(1, 60000) g")
	d.start("capture")
	sinks := d.start("sink")
	d.caughtUp(60 * time.Second)
	for _, verb := range []string{"approve", "skip"} {
		says(t, d.fails(1, verb, "copy"), "nothing waits at sink copy: there is nothing to "+verb)
	}
	d.fails(2, "approve", "nobody")

	d.exec("begin; insert into people values (60001, 'before'); delete from people where id <= 50000; update people set name = 'after' where id = 60000; commit",
		"insert into people values (60002, 'behind')", "insert into free values (1, 'flows')")
	for _, name := range []string{"copy", "second"} {
		s := d.awaitState(name, sink.StateHeld)
		w := s.Waiting
		if w == nil || w.Rows != 50_000 || w.Of != 60_001 || w.Kind != sink.HoldDeletes || w.Table != "public.people" || len(w.Samples) != 10 {
			t.Fatalf("%s: %+v", name, w)
		}
	}
	d.reached("other")
	d.published()
	before := scan[string](t, d.source, "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = $1", "sluice_"+d.name)
	d.exec("insert into free values (2, 'flows')")
	d.reached("other")
	eventually(t, 30*time.Second, "the slot to move on", func() bool {
		return scan[bool](t, d.source, "select confirmed_flush_lsn > $2::text::pg_lsn from pg_replication_slots where slot_name = $1", "sluice_"+d.name, before)
	})
	d.says([]string{"status"}, "sink copy held", "50000 rows of public.people would be removed", "decide sluice approve copy | sluice skip copy")
	says(t, d.metric(`sluice_sink_held_rows{reason="deletes",sink="copy",table="public.people"}`), "50000")
	if _, err := fetch("http://" + d.sinkConsole + "/readyz"); err == nil {
		t.Error("it calls itself ready while a sink is held")
	}
	d.expectCount("select count(*) from people", 60_000)
	d.expectCount("select count(*) from second.people", 60_000)

	again := func() {
		time.Sleep(time.Duration(random.IntN(600)) * time.Millisecond)
		sinks.Kill()
		sinks = d.start("sink")
	}
	again() // what waits is remembered
	for _, name := range []string{"copy", "second"} {
		if w := d.awaitState(name, sink.StateHeld).Waiting; w.Rows != 50_000 {
			t.Errorf("after a restart: %+v", w)
		}
	}
	sinks.Kill()
	d.says([]string{"approve", "copy"}, "sink copy is held at commit", "keys id=", "approved: it is applied")
	d.says([]string{"skip", "second"}, "skipped: it is left out")
	sinks = d.start("sink")
	for range 4 {
		again()
	}
	d.caughtUp(60 * time.Second)
	d.same("public.people")
	d.expectCount("select count(*) from other.free", 2)
	d.expectCount("select count(*) from second.people", 60_002)
	d.expectCount("select count(*) from second.people where (id, name) in ((60000, 'after'), (60001, 'before'), (60002, 'behind'))", 3)
	eventually(t, 30*time.Second, "nothing to wait", func() bool {
		out, status := d.command("skip", "second")
		return status == 1 && strings.Contains(out, "nothing waits")
	})

	// What comes behind is counted anew, and can be let through for a while.
	d.exec("insert into people select g, 'again' from generate_series(1, 5000) g", "delete from people where id <= 5000")
	d.awaitState("copy", sink.StateHeld)
	d.says([]string{"approve", "copy", "--for", "1h"}, "the breaker holds nothing until")
	d.reached("copy")
	d.exec("delete from people where id % 2 = 0")
	d.reached("copy")
	d.same("public.people")
	d.stop(sinks)
}

// A TRUNCATE that the configuration refuses is settled as a mass change is.
func TestRefusedTruncateIsDecided(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.people"}, withMore(another("second", "", "{from: public.people, to: second.people, deletes: hard}")))
	d.edit("deletes: hard, truncate: apply", "deletes: hard")
	d.exec("create table people (id int primary key, name text)", "insert into people values (1, 'Ann')")
	d.start("capture")
	d.start("sink")
	d.caughtUp(60 * time.Second)
	d.exec("begin; truncate people; insert into people values (2, 'Bob'); commit")
	for _, name := range []string{"copy", "second"} {
		if w := d.awaitState(name, sink.StateHeld).Waiting; w == nil || w.Kind != sink.HoldTruncate || w.Rows != 1 {
			t.Fatalf("%s: %+v", name, w)
		}
	}
	d.says([]string{"approve", "copy"}, "kind truncate", "1 rows of public.people would be removed")
	d.says([]string{"skip", "second"}, "1 rows of second.people")
	d.caughtUp(60 * time.Second)
	d.same("public.people")
	d.expectCount("select count(*) from second.people", 2)
}

// A sink that is paused keeps its position through a restart, has no lease and applies nothing, until it is
// resumed.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{"public.people"}, withMore(another("other", "", "{from: public.people, to: other.people, deletes: hard}")))
	d.exec("create table people (id int primary key, name text)", "insert into people values (1, 'Ann')")
	d.start("capture")
	sinks := d.start("sink")
	d.caughtUp(60 * time.Second)
	says(t, d.fails(1, "resume", "copy"), "sink copy is not paused")
	d.says([]string{"pause", "copy"}, "sink copy: paused")
	d.awaitState("copy", sink.StatePaused)
	d.exec("insert into people values (2, 'Bob')")
	d.reached("other")
	sinks.Kill()
	sinks = d.start("sink")
	d.awaitState("copy", sink.StatePaused)
	d.exec("insert into people values (3, 'Cid')")
	d.reached("other")
	d.expectCount("select count(*) from people", 1)
	eventually(t, 30*time.Second, "the lease to be free", func() bool {
		return scan[int](t, d.destination, "select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())") == 1
	})
	d.says([]string{"status"}, "sink copy paused")
	if body, err := fetch("http://" + d.sinkConsole + "/readyz"); err != nil {
		t.Errorf("a sink that is paused is no fault: %v %s", err, body)
	}
	d.says([]string{"resume", "copy"}, "goes on from its position")
	d.reached("copy")
	d.same("public.people")
	d.stop(sinks)
}

// A sink with a schedule applies at its times, and when it is told to.
func TestCadence(t *testing.T) {
	t.Parallel()
	away := time.Now().Add(12 * time.Hour).Format("15:04")
	d := newDeployment(t, 15, []string{"public.people"}, withMore(
		another("nightly", "    cadence: {at: \""+away+"\"}\n", "{from: public.people, to: nightly.people, deletes: hard}")+
			another("often", "    cadence: {every: 3s}\n", "{from: public.people, to: often.people, deletes: hard}")))
	d.exec("create table people (id int primary key, name text)", "insert into people values (1, 'Ann')")
	d.start("capture")
	sinks := d.start("sink")
	d.reached("copy")
	s := d.awaitState("nightly", sink.StateStandby)
	if until := time.Until(s.NextRun); until < 11*time.Hour || until > 12*time.Hour || !strings.Contains(s.Reason, "sluice sync nightly") || s.LateSeconds != 0 {
		t.Errorf("%+v", s)
	}
	d.expectCount("select count(*) from nightly.people", 1)
	d.exec("insert into people values (2, 'Bob')")
	d.reached("copy")
	d.reached("often")
	d.awaitState("often", sink.StateStandby)
	d.expectCount("select count(*) from often.people", 2)
	d.expectCount("select count(*) from nightly.people", 1)
	sinks.Kill()
	sinks = d.start("sink")
	d.awaitState("nightly", sink.StateStandby)
	d.exec("insert into people values (3, 'Cid')")
	d.reached("often")
	d.expectCount("select count(*) from nightly.people", 1)
	says(t, d.fails(2, "sync", "copy"), "sink copy has no cadence")
	d.says([]string{"sync", "nightly"}, "applies what was committed before")
	eventually(t, 30*time.Second, "what was committed before", func() bool {
		return scan[int](t, d.destination, "select count(*) from nightly.people") == 3
	})
	d.awaitState("nightly", sink.StateStandby)
	eventually(t, 30*time.Second, "it to be ready between the times", func() bool {
		answer, err := http.Get("http://" + d.sinkConsole + "/readyz")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	d.says([]string{"status"}, "sink nightly standby", "sleeps until")
	d.stop(sinks)
}
