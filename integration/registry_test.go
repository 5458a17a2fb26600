package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
)

// onRegistry makes a configuration name a registry instead of the embedded one; more are further lines
// of the section.
func onRegistry(text, url string, more ...string) string {
	lines := append([]string{"registry: " + url}, more...)
	return strings.Replace(text, "registry: embedded", strings.Join(lines, "\n  "), 1)
}

// A registry of another make, behind a password: rows arrive and schemas change at two levels of
// compatibility, a column getting another field where the registry refuses its new type.
func TestForeignRegistry(t *testing.T) {
	t.Parallel()
	for level, bigint := range map[string]string{"BACKWARD": "a#2 bigint", "FULL_TRANSITIVE": "a#2 bigint in a_2"} {
		t.Run(level, func(t *testing.T) { testForeign(t, level, bigint) })
	}
}

// testForeign widens a column to bigint, for which the level has the registry hold the text.
func testForeign(t *testing.T, level, bigint string) {
	t.Parallel()
	registry := harness.SharedApicurio(t)
	proxy := harness.ProxyRegistry(t, registry, "writer", "open sesame")
	d := newDeployment(t, 18, []string{oneTable}, func(text string) string {
		text = strings.Replace(text, "type: postgres\n", "type: postgres\n    evolve: all\n", 1)
		return onRegistry(text, proxy.URL(), "username: writer", "password: not this one")
	})
	d.registry = registry
	d.exec("create table t (id int primary key, a int)", "insert into t values (0, 0)")
	for _, out := range []string{d.fails(3, "check"), d.fails(1, "capture")} {
		says(t, out, proxy.URL(), "HTTP 401, the proxy does not know the user", "schemas.username")
	}
	d.rewrite("not this one", "open sesame")
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	for _, part := range []string{"key", "value"} {
		put(t, registry+"/config/"+d.name+".public.t-"+part, `{"compatibility":"`+level+`"}`)
	}
	d.exec("alter table t add b text", "insert into t values (1, 1, 'b')")
	d.caughtUp(60 * time.Second) // a rewrite makes it unknown what older rows have in a column that was not read yet
	d.exec("alter table t alter a type bigint", "insert into t values (2, 5000000000, 'b')",
		"alter table t drop a", "insert into t values (3, 'b')")
	d.caughtUp(60 * time.Second)
	d.same(oneTable)
	d.stop(p)
	p = d.start("run") // what it left in the topics is read by the registry's ids
	d.exec("insert into t values (4, 'b')")
	d.caughtUp(60 * time.Second)
	d.same(oneTable)
	d.topicsHold()
	want := []string{"id#1* integer, a#2 integer", "id#1* integer, a#2 integer, b#3 text", "id#1* integer, " + bigint + ", b#3 text", "id#1* integer, b#3 text"}
	if got := d.versions(oneTable); !slices.Equal(got, want) {
		t.Errorf("the registry holds\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	d.stop(p)
}

// A registry that is away while a table changes its shape is waited for: the log names it, the source
// keeps what comes, and all of it arrives when the registry is back.
func TestRegistryOutage(t *testing.T) {
	t.Parallel() // it waits most of its time
	proxy := harness.ProxyRegistry(t, harness.SharedApicurio(t), "", "")
	d := newDeployment(t, 15, []string{oneTable, "public.u"}, func(text string) string {
		return onRegistry(text, proxy.URL()) + "memory: 32MiB\n"
	})
	d.registry = proxy.URL()
	d.exec("create table t (id int primary key)", "create table u (id serial primary key, note text)",
		"alter table u alter note set storage plain", "insert into t values (0)")
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	walsender := d.walsender()
	d.outage(proxy, harness.Refuses, "connection refused", 1)
	d.outage(proxy, harness.Breaks, "HTTP 500, the proxy is broken", 2)
	d.outage(proxy, harness.Babbles, "the answer cannot be read", 3)
	d.outage(proxy, harness.Hangs, "no answer for 4s", 4)
	if pid := d.walsender(); pid != walsender {
		t.Errorf("the replication connection was made anew: walsender %d, then %d", walsender, pid)
	}
	d.topicsHold()
	d.stop(p)
}

// outage makes the registry misbehave while t gets its nth column and u more rows than all buffers hold,
// and ends it.
func (d *deployment) outage(proxy *harness.RegistryProxy, b harness.Behaviour, reason string, n int) {
	d.t.Helper()
	log := d.since("run.log")
	proxy.Become(b)
	d.exec(fmt.Sprintf("alter table t add c%d int", n))
	d.exec(fmt.Sprintf("insert into t (id, c%d) values (%d, 1)", n, n))
	committed := scan[string](d.t, d.source, "select pg_current_wal_insert_lsn()::text")
	d.exec("insert into u (note) select repeat(md5(i::text), 100) from generate_series(1, 5000) i") // 16 MB
	eventually(d.t, 60*time.Second, "a line that names the registry and says "+reason, func() bool {
		text := log()
		return strings.Contains(text, "registry="+proxy.URL()) && strings.Contains(text, reason) &&
			strings.Contains(text, "new tables and schema changes wait, nothing is lost")
	})
	d.heldBack(committed)
	proxy.Become(harness.Passes)
	d.caughtUp(60 * time.Second)
	d.same(oneTable, "public.u")
	says(d.t, log(), "schema registry answers again")
}

// walsender gives the process that serves the slot.
func (d *deployment) walsender() int {
	d.t.Helper()
	return scan[int](d.t, d.source, "select active_pid from pg_replication_slots where slot_name = $1", "sluice_"+d.name)
}

// full is what waits to be decoded when capture's share of 32 MiB is used up, 1 MiB in pieces of which
// one is at work.
const full = 3 * 256 << 10

// heldBack waits until capture takes no more, and checks that the metrics say why and that the transaction which ended before
// the position is not confirmed.
func (d *deployment) heldBack(committed string) {
	d.t.Helper()
	eventually(d.t, 30*time.Second, "capture to have no room", func() bool {
		var metrics string
		get(d.t, d.console, "/metrics", &metrics)
		_, after, _ := strings.Cut(metrics, "\nsluice_capture_buffer_bytes ")
		var n float64
		_, _ = fmt.Sscan(after, &n) // 0 while there is none
		return n >= full && strings.Contains(metrics, "\nsluice_registry_up 0\n")
	})
	if !scan[bool](d.t, d.source, "select confirmed_flush_lsn < $1::text::pg_lsn from pg_replication_slots where slot_name = $2", committed, "sluice_"+d.name) {
		d.t.Error("the slot is confirmed beyond what is durable")
	}
}

// since gives what a log says from now on.
func (d *deployment) since(name string) func() string {
	path := filepath.Join(d.folder, name)
	text, _ := os.ReadFile(path) // none: it begins
	from := len(text)
	return func() string {
		text, err := os.ReadFile(path)
		if err != nil {
			d.t.Fatal(err)
		}
		return string(text[min(from, len(text)):])
	}
}

// A registry that refuses the schema of one table holds that table only, and lets it go on when it has
// changed its mind.
func TestRegistryRefusals(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]struct {
		mode   harness.Behaviour
		reason string
	}{
		"409": {harness.Conflicts, "the proxy finds it incompatible"},
		"401": {harness.Denies, "the proxy does not know the user"},
	} {
		t.Run(name, func(t *testing.T) { testRefusal(t, refusal.mode, refusal.reason) })
	}
}

func testRefusal(t *testing.T, mode harness.Behaviour, reason string) {
	t.Parallel()
	proxy := harness.ProxyRegistry(t, harness.SharedApicurio(t), "", "")
	d := newDeployment(t, 15, []string{oneTable, "public.u"}, func(text string) string {
		const u = "      - {from: public.u, deletes: hard, truncate: apply}\n"
		// A sink waits at a table that is held: u has one of its own.
		return onRegistry(strings.Replace(text, u, "  other:\n    type: postgres\n    dsn: ${DESTINATION_DSN}\n    tables:\n"+u, 1), proxy.URL())
	})
	d.registry = proxy.URL()
	d.exec("create table t (id int primary key)", "create table u (id int primary key)", "insert into t values (0)", "insert into u values (0)")
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	proxy.Become(mode)
	d.exec("alter table t add a int", "insert into t values (1, 1)", "insert into u values (1)")
	eventually(t, 30*time.Second, "the other table to go on", func() bool {
		return scan[int](t, d.destination, "select count(*)::int from u") == 2
	})
	eventually(t, 30*time.Second, "the status to say "+reason, func() bool {
		for _, table := range d.captureStatus().Tables {
			if table.Table == oneTable && strings.Contains(table.Reason, reason) {
				return true
			}
		}
		return false
	})
	d.exec("insert into t values (2, 2)", "insert into u values (2)")
	proxy.Become(harness.Passes)
	d.caughtUp(60 * time.Second)
	d.same(oneTable, "public.u")
	d.topicsHold()
	d.stop(p)
}

// A registry that comes back without its schemas. What is under way goes on; a table with a new shape is
// held, since the ids of records in Kafka would get another meaning, and no start goes past it until
// the registry is restored.
func TestRegistryComesBackEmpty(t *testing.T) {
	t.Parallel()
	registry := harness.Apicurio(t)
	d := newDeployment(t, 18, []string{oneTable}, func(text string) string { return onRegistry(text, registry.URL()) })
	d.registry = registry.URL()
	d.exec("create table t (id int primary key)", "insert into t values (0)")
	capture, sink := d.start("capture"), d.start("sink")
	d.caughtUp(60 * time.Second)
	backup := registry.Backup()
	comeBackEmpty(registry)
	d.exec("insert into t values (1)")
	d.caughtUp(60 * time.Second)
	d.stop(sink)
	d.exec("insert into t values (2)")
	d.published()
	says(t, d.fails(1, "sink"), registry.URL(), "the registry does not have it", "they stay in Kafka and are not applied")
	log := d.since("capture.log")
	d.exec("alter table t add a int", "insert into t values (3, 3)")
	d.awaitTable(oneTable, true, "the registry has lost schemas that it held before")
	says(t, log(), registry.URL(), "restore it from its backup")
	if subjects, err := fetch(registry.URL() + "/subjects"); string(subjects) != "[]" {
		t.Errorf("schemas were registered anew: %s %v", subjects, err)
	}
	d.stop(capture)
	says(t, d.fails(1, "capture"), "the registry does not have it", "restore it from its backup")
	comeBackEmpty(registry)
	registry.Restore(backup)
	capture, sink = d.start("capture"), d.start("sink")
	d.caughtUp(60 * time.Second)
	d.same(oneTable)
	d.topicsHold()
	d.stop(capture)
	d.stop(sink)
}

func comeBackEmpty(r *harness.ApicurioRegistry) {
	r.Kill9()
	r.Start()
}
