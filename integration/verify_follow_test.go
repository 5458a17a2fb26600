package integration

import (
	"testing"
	"time"

	"github.com/sluicecdc/sluice/sink"
)

// A sink that sleeps between the times of its schedule follows when verify has to wait for it, without a command of
// anybody; of one that is paused or held verify says so at once, and what lets it go on.
func TestVerifyOfSinksThatDoNotFollow(t *testing.T) {
	t.Parallel()
	away := time.Now().Add(12 * time.Hour).Format("15:04")
	d := newDeployment(t, 15, []string{"public.people"}, withMore(
		another("nightly", "    cadence: {at: \""+away+"\"}\n", "{from: public.people, to: nightly.people, deletes: hard}")+
			another("seldom", "    cadence: {every: 24h}\n", "{from: public.people, to: seldom.people, deletes: hard}")))
	d.edit("deletes: hard, truncate: apply", "deletes: hard")
	d.exec("create table people (id int primary key, name text)", "insert into people select g, 'name' from generate_series(1, 100) g")
	capture, sinks := d.start("capture"), d.start("sink")
	d.reached("copy")
	scheduled := []string{"nightly", "seldom"}
	for _, name := range scheduled {
		d.awaitState(name, sink.StateStandby)
	}

	d.exec("update people set name = 'new' where id <= 50", "insert into people values (101, 'new')", "delete from people where id = 60")
	d.reached("copy")
	for _, name := range scheduled {
		d.expectCount("select count(*) from "+name+".people where name = 'name'", 100)
	}
	if results, _ := d.verify(0); len(results) != 3 {
		t.Errorf("results: %+v", results)
	}
	for _, name := range scheduled {
		d.expectCount("select count(*) from "+name+".people where name = 'new'", 51)
		d.awaitState(name, sink.StateStandby)
		execAt(t, d.destination, "update "+name+".people set name = 'tampered' where id = 7", "delete from "+name+".people where id = 8", "insert into "+name+".people values (9999, 'x')")
	}
	d.exec("insert into people values (102, 'newer')")
	if results, rows := d.verify(3, "nightly"); len(rows) != 3 {
		t.Errorf("%+v, %v", results, rows)
	}
	for _, name := range scheduled {
		if out, status := d.command("verify", name, "--repair", "--log-level", "error"); status != 0 {
			t.Errorf("repair of %s: exit %d:\n%s", name, status, out)
		}
		d.expectCount("select count(*) from "+name+".people where name in ('new', 'newer')", 52)
	}

	d.says([]string{"pause", "copy"})
	d.awaitState("copy", sink.StatePaused)
	d.verify(0, "copy") // it has nothing to follow
	d.exec("insert into people values (103, 'newest')")
	d.published()
	atOnce := func(name string, parts ...string) {
		t.Helper()
		began := time.Now()
		says(t, d.fails(1, "verify", name, "--log-level", "error"), parts...)
		if took := time.Since(began); took > followedAtMost {
			t.Errorf("verify of %s took %s", name, took)
		}
	}
	atOnce("copy", "sink copy is paused", "sluice resume copy")
	d.says([]string{"resume", "copy"})
	d.verify(0, "copy")

	d.exec("begin; truncate people; insert into people values (1, 'alone'); commit")
	d.awaitState("copy", sink.StateHeld)
	atOnce("copy", "sink copy is held at table public.people", "rows of public.people would be removed", "sluice approve copy")
	atOnce("nightly", "sink nightly is held at table public.people", "sluice approve nightly") // the run that was asked for met it
	d.says([]string{"approve", "copy"})
	d.says([]string{"approve", "nightly"})
	d.verify(0, "copy")
	d.verify(0, "nightly")
	d.expectCount("select count(*) from nightly.people", 1)
	d.stop(sinks)
	d.stop(capture)
}

// followedAtMost is far less than verify waits for a sink that nobody holds.
const followedAtMost = 40 * time.Second
