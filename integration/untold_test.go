package integration

import (
	"strings"
	"testing"
	"time"
)

// newFollowing has a sink that follows every schema change it can.
func newFollowing(t *testing.T, tables ...string) *deployment {
	d := newDeployment(t, 15, tables, func(text string) string {
		return strings.Replace(text, "type: postgres\n", "type: postgres\n    evolve: all\n", 1)
	})
	return d
}

// heldFor waits until the sink is held and gives its statements.
func (d *deployment) heldFor(reason string) []string {
	d.t.Helper()
	var said string
	eventually(d.t, 30*time.Second, "the sink to be held: "+reason, func() bool {
		said = d.heldSinks()["copy"]
		return strings.Contains(said, reason)
	})
	_, run, _ := strings.Cut(said, "run: ")
	run, _, ok := strings.Cut(run, " -- the sink looks again")
	if !ok {
		d.t.Fatalf("the sink is held without a statement: %s", said)
	}
	return strings.Split(run, "; ")
}

// A constant default is forgotten when its table is rewritten before capture reads the column: a sink with
// rows waits for a person, who copies the values. A column without default holds nothing, rewritten or not.
func TestForgottenDefault(t *testing.T) {
	t.Parallel()
	d := newFollowing(t, "public.lost", "public.plain", "public.emptied")
	for _, table := range []string{"lost", "plain", "emptied"} {
		d.exec("create table "+table+" (id int primary key, a int)", "insert into "+table+" values (1, 1), (2, 2)")
	}
	capture := d.start("capture")
	d.start("sink")
	d.caughtUp(30 * time.Second)
	d.exec("insert into lost values (3, 3)")
	d.caughtUp(30 * time.Second)
	d.stop(capture)
	d.exec("alter table plain add c int", "vacuum full plain", "insert into plain (id, a) values (4, 4)",
		"truncate emptied", "alter table emptied add c int default 7", "alter table emptied alter a type bigint", "insert into emptied values (4, 4)",
		"alter table lost add c int default 7", "alter table lost alter a type bigint", "insert into lost values (4, 4, 4)")
	d.start("capture")
	run := d.heldFor(`may have values in it that the log does not hold`)
	d.awaitTable("public.lost", true, "may have values in c that the log does not hold")
	execAt(t, d.destination, strings.Join(append(run, "update lost set c = 7"), "; ")) // the sink goes on behind all of it
	d.caughtUp(30 * time.Second)
	d.same("public.lost", "public.plain", "public.emptied")
	d.topicsHold()
}

// A column whose number the log does not tell is a renamed one or another: the sink asks, and the answer
// is a statement at the destination.
func TestRenameThatCannotBeTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, ddl, answer string }{
		{"renamed", "alter table t rename b to c", `ALTER TABLE "public"."t" RENAME COLUMN "b" TO "c"`},
		{"other", "alter table t drop b; alter table t add c text", `ALTER TABLE "public"."t" ADD COLUMN c text`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newFollowing(t, "public.t")
			d.exec("create table t (id int primary key, a int, b text)", "insert into t values (1, 1, 'one')")
			capture := d.start("capture")
			d.start("sink")
			d.caughtUp(30 * time.Second)
			d.stop(capture)
			d.exec(strings.Split(c.ddl, "; ")...)
			// A third statement before capture reads the second: today's catalogue has neither shape.
			d.exec("insert into t (id, a, c) values (2, 2, 'two')", "alter table t add d int", "alter table t drop a", "alter table t rename c to e", "insert into t values (3, 'three', 3)")
			d.start("capture")
			if run := d.heldFor("the log does not tell whether column"); run[0] != `ALTER TABLE "public"."t" RENAME COLUMN "b" TO "c"` {
				t.Errorf("the sink names %v", run)
			}
			execAt(t, d.destination, c.answer)
			if c.name == "other" {
				execAt(t, d.destination, d.heldFor(`"c" under another name`)[0])
			}
			d.caughtUp(30 * time.Second)
			d.same("public.t")
			d.topicsHold()
		})
	}
}
