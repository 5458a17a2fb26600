package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicecdc/sluice/integration/harness"
)

// says fails the test unless the output holds every part: what happened, where, and what to do.
func says(t *testing.T, output string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(output, part) {
			t.Errorf("the output does not say %q:\n%s", part, output)
		}
	}
}

// fails runs a command that must end with the status, and gives what it printed.
func (d *deployment) fails(status int, args ...string) string {
	d.t.Helper()
	out, got := d.command(args...)
	if got != status {
		d.t.Errorf("sluice %s: exit status %d, want %d\n%s", strings.Join(args, " "), got, status, out)
	}
	return out
}

const oneTable = "public.t"

func TestMissingReplicaIdentityIsRefused(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{oneTable}, nil)
	d.exec("create table t (id int, note text)")
	for _, out := range []string{d.fails(1, "capture"), d.fails(3, "check")} {
		says(t, out, `ALTER TABLE "public"."t" REPLICA IDENTITY FULL`)
	}
	d.exec("insert into t values (1, 'a')", "update t set note = 'b'") // the source application is not in the way
}

func TestSourceWithoutLogicalLogIsNamed(t *testing.T) {
	t.Parallel()
	pg := harness.Postgres(t, harness.Options{Version: 15, Settings: map[string]string{"wal_level": "replica"}})
	d := newDeployment(t, 15, []string{oneTable}, nil)
	d.source = pg.NewDatabase()
	d.exec("create table t (id int primary key)")
	for _, out := range []string{d.fails(1, "capture"), d.fails(3, "check")} {
		says(t, out, "ALTER SYSTEM SET wal_level = logical", "restart")
	}
}

func TestSourceWithoutFreeSlotsIsNamed(t *testing.T) {
	t.Parallel()
	pg := harness.Postgres(t, harness.Options{Version: 15, Settings: map[string]string{"max_replication_slots": "1"}})
	d := newDeployment(t, 15, []string{oneTable}, nil)
	d.source = pg.NewDatabase()
	d.exec("create table t (id int primary key)", "select pg_create_logical_replication_slot('taken', 'pgoutput')")
	for _, out := range []string{d.fails(1, "capture"), d.fails(3, "check")} {
		says(t, out, "max_replication_slots")
	}
}

func TestMissingPrivilegesGetTheExactStatement(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{oneTable}, nil)
	role := harness.Unique("reader")
	d.exec("create table t (id int primary key)", "create role "+role+" login")
	asOwner := d.source
	d.source = strings.Replace(asOwner, "postgres@", role+"@", 1)
	out := d.fails(3, "check")
	says(t, out, "ALTER ROLE", role, "REPLICATION")
	execAt(t, asOwner, "alter role "+role+" replication", "grant create on database "+databaseOf(asOwner)+" to "+role)
	out = d.fails(3, "check")
	says(t, out, "GRANT SELECT ON", role)
	execAt(t, asOwner, "drop owned by "+role)
}

func databaseOf(dsn string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(dsn, "postgres://"), "/")
	name, _, _ := strings.Cut(rest, "?")
	return name
}

// Servers that cannot be reached are named with the reason, and waited for.
func TestUnreachableServersAreNamedAndWaitedFor(t *testing.T) {
	t.Parallel()
	closed := freeAddress(t)
	for _, c := range []struct{ what, old string }{
		{"source", "${SOURCE_DSN}"}, {"kafka", ""}, {"registry", ""}, {"destination", "${DESTINATION_DSN}"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := newDeployment(t, 15, []string{oneTable}, nil)
			d.exec("create table t (id int primary key)")
			switch c.what {
			case "source":
				d.source = "postgres://app:verysecret@" + closed + "/crm?sslmode=disable"
			case "destination":
				d.destination = "postgres://app:verysecret@" + closed + "/crm?sslmode=disable"
			case "kafka":
				d.rewrite(strings.Join(d.brokers, ", "), closed)
			case "registry":
				d.rewrite("registry: embedded", "registry: http://"+closed)
			}
			p := d.start("run")
			log := filepath.Join(d.folder, "run.log")
			eventually(t, 60*time.Second, "a line that names "+closed, func() bool {
				text, _ := os.ReadFile(log)
				return strings.Contains(string(text), closed) && strings.Contains(string(text), "refused")
			})
			text, _ := os.ReadFile(log)
			if strings.Contains(string(text), "verysecret") {
				t.Errorf("the log shows the password:\n%s", text)
			}
			select {
			case <-p.Done():
				t.Errorf("the process gave up: %v\n%s", p.Err(), text)
			default:
			}
			if status := get(t, d.console, "/readyz", nil); status != http.StatusServiceUnavailable {
				t.Errorf("/readyz answers %d while %s cannot be reached, want 503", status, c.what)
			}
			d.stop(p)
		})
	}
}

// rewrite changes the configuration.
func (d *deployment) rewrite(old, new string) {
	d.t.Helper()
	text, err := os.ReadFile(d.config)
	if err != nil {
		d.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		d.t.Fatalf("the configuration does not hold %q", old)
	}
	if err := os.WriteFile(d.config, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// get asks a console and gives the status, the body too when asked; 0 when nothing answers.
func get(t *testing.T, address, path string, body *string) int {
	t.Helper()
	answer, err := http.Get("http://" + address + path)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		*body = string(b)
	}
	return answer.StatusCode
}

// A stalled path turns /readyz false, and back when it moves again.
func TestReadyFollowsProgress(t *testing.T) {
	t.Parallel() // it waits most of its time
	d := newDeployment(t, 15, []string{oneTable}, nil)
	// New slots wait for every transaction of their server, and the one here waits long.
	d.destination = harness.Postgres(t, harness.Options{Version: 15}).NewDatabase()
	d.exec("create table t (id int primary key)", "insert into t values (0)")
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	ready := func() bool { return get(t, d.console, "/readyz", nil) == http.StatusOK }
	eventually(t, 60*time.Second, "/readyz to be true", ready)
	if status := get(t, d.console, "/healthz", nil); status != http.StatusOK {
		t.Errorf("/healthz answers %d", status)
	}
	// A lock on the destination's table holds the sink in the middle of its transaction.
	release := lockTable(t, d.destination, "t")
	d.exec("insert into t values (1)")
	eventually(t, 60*time.Second, "/readyz to turn false", func() bool { return !ready() })
	release()
	eventually(t, 60*time.Second, "/readyz to be true again", ready)
	var metrics string
	get(t, d.console, "/metrics", &metrics)
	says(t, metrics, `sluice_sync_latency_seconds_bucket{sink="copy"`, `sluice_sync_records_total{`, "sluice_drift_records{", "sluice_recovery_seconds")
	d.stop(p)
}

// A row that no broker takes stops capture before it: table, key and both sizes are named, nothing past
// it is confirmed, and with a larger limit it goes on.
func TestRowTooLargeForTheBroker(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{oneTable}, func(text string) string {
		return strings.Replace(text, "kafka:\n", "kafka:\n  max_message_bytes: 1048576\n", 1)
	})
	d.source = harness.Postgres(t, harness.Options{Version: 15}).NewDatabase() // nobody else moves its log
	d.exec("create table t (id int primary key, note text)", "insert into t values (1, 'small')")
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	d.exec("insert into t select 2, string_agg(md5(i::text), '') from generate_series(1, 70000) i")
	committed := scan[string](t, d.source, "select pg_current_wal_insert_lsn()::text")
	d.exec("insert into t values (3, 'after')")
	select {
	case <-p.Done():
	case <-time.After(60 * time.Second):
		t.Fatal("capture goes on")
	}
	text, _ := os.ReadFile(filepath.Join(d.folder, "run.log"))
	says(t, string(text), "public.t", "id=2", "2240", "1048576", "max_message_bytes")
	if !scan[bool](t, d.source, "select confirmed_flush_lsn < $1::text::pg_lsn from pg_replication_slots where slot_name = $2", committed, "sluice_"+d.name) {
		t.Error("the slot is confirmed beyond the row that was refused")
	}
	d.rewrite("max_message_bytes: 1048576", "max_message_bytes: 16777216")
	raiseLimit(t, d)
	p = d.start("run")
	d.caughtUp(60 * time.Second)
	d.same(oneTable)
	d.topicsHold()
	d.stop(p)
}

// Something that speaks no protocol of ours on the other side gives an error and not a panic. A
// registry that does is waited for: see TestRegistryOutage.
func TestGarbageFromServers(t *testing.T) {
	t.Parallel()
	garbage := speakGarbage(t)
	for _, what := range []string{"source", "kafka"} {
		t.Run(what, func(t *testing.T) {
			d := newDeployment(t, 15, []string{oneTable}, nil)
			d.exec("create table t (id int primary key)")
			if what == "source" {
				d.source = "postgres://app@" + garbage + "/crm?sslmode=disable"
			} else {
				d.rewrite(strings.Join(d.brokers, ", "), garbage)
			}
			out := d.fails(3, "check")
			says(t, out, garbage)
			if strings.Contains(out, "panic") {
				t.Errorf("check panics:\n%s", out)
			}
		})
	}
}

// speakGarbage answers every connection with bytes that mean nothing.
func speakGarbage(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = fmt.Fprint(conn, strings.Repeat("\xff\x00garbage", 4096))
			}()
		}
	}()
	return l.Addr().String()
}

// A slot that disappears is a gap: capture stops with the facts and the choices.
func TestLostSlotIsAGap(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, 15, []string{oneTable}, nil)
	d.exec("create table t (id int primary key)", "insert into t values (1)")
	p := d.start("run")
	d.caughtUp(60 * time.Second)
	d.stop(p)
	d.exec(fmt.Sprintf("select pg_drop_replication_slot('sluice_%s')", d.name), "delete from t")
	out := d.fails(1, "capture")
	says(t, out, "sluice_"+d.name, "the slot is gone", "may be lost", "Choose")
}

// lockTable holds an exclusive lock until the returned function is called.
func lockTable(t *testing.T, dsn, table string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "begin; lock table "+table+" in exclusive mode"); err != nil {
		t.Fatal(err)
	}
	return func() { _ = conn.Close(t.Context()) }
}

// raiseLimit does what the message of a row too large asks for.
func raiseLimit(t *testing.T, d *deployment) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(d.brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	limit := "16777216"
	setting := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	setting.Name, setting.Value = "max.message.bytes", &limit
	topic := kmsg.NewIncrementalAlterConfigsRequestResource()
	topic.ResourceType, topic.ResourceName = kmsg.ConfigResourceTypeTopic, d.name+".public.t"
	topic.Configs = append(topic.Configs, setting)
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, topic)
	answer, err := req.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range answer.Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			t.Fatal(err)
		}
	}
}
