package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/integration/harness"
	ports "github.com/sluicecdc/sluice/internal/process"
)

// site is a source, a destination and a configuration between them.
type site struct {
	t                   *testing.T
	name                string
	source, destination *pgx.Conn
	config, console     string
}

func newSite(t *testing.T) *site {
	t.Helper()
	pg := harness.SharedPostgres(t, 0)
	from, to := pg.NewDatabase(), pg.NewDatabase()
	s := &site{t: t, name: harness.Unique("source"), source: connect(t, from), destination: connect(t, to), console: freeAddress(t)}
	s.exec(s.source, "create table items (id int primary key, name text)", "insert into items select n, 'item ' || n from generate_series(1, 100) n")
	s.config = writeConfig(t, fmt.Sprintf(`source:
  name: %[1]s
  dsn: %[2]q
  tables: [public.items]
kafka: {brokers: embedded, embedded_listen: %[3]q}
schemas: {registry: embedded, embedded_listen: %[4]q}
sinks:
  copy:
    type: postgres
    dsn: %[5]q
    parking: {rows: 10, share: 10%%}
    tables: [{from: public.items, deletes: hard}]
console: {listen: %[6]q, sink_listen: %[7]q}
data_dir: %[8]q
`, s.name, from, freeAddress(t), freeAddress(t), to, s.console, freeAddress(t), t.TempDir()))
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := ports.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (s *site) exec(conn *pgx.Conn, statements ...string) {
	s.t.Helper()
	for _, sql := range statements {
		if _, err := conn.Exec(s.t.Context(), sql); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// eventually asks until the answer is yes.
func (s *site) eventually(what string, ask func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(60 * time.Second)
	for !ask() {
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatalf("not so after a minute: %s", what)
		}
	}
}

// count gives the rows at the destination, 0 while there is no table.
func (s *site) count() (n int) {
	_ = s.destination.QueryRow(s.t.Context(), "select count(*) from items").Scan(&n)
	return n
}

func (s *site) ready() bool {
	resp, err := http.Get("http://" + s.console + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// background runs a command until the function that it gives is called, which gives its result.
func (s *site) background(args ...string) (stop func() result) {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan result, 1)
	go func() { done <- command(ctx, append(args, "-c", s.config)...) }()
	return func() result {
		cancel()
		return <-done
	}
}

func (s *site) expect(code int, says string, args ...string) {
	s.t.Helper()
	r := command(s.t.Context(), append(args, "-c", s.config)...)
	if r.code != code || !strings.Contains(r.out+r.err, says) {
		s.t.Errorf("%v: exit %d, want %d and %q in\n%s%s", args, r.code, code, says, r.out, r.err)
	}
}

// TestRun goes through the life of a pipeline with every command that looks at it.
func TestRun(t *testing.T) {
	s := newSite(t)
	s.expect(exitDone, "starts with capture", "check")
	stop := s.background("run")
	s.eventually("ready", s.ready)
	s.eventually("the snapshot is there", func() bool { return s.count() == 100 })
	s.exec(s.source, "insert into items values (101, 'new')", "delete from items where id = 1", "update items set name = 'changed' where id = 2")
	s.eventually("changes are there", func() bool {
		var name string
		_ = s.destination.QueryRow(t.Context(), "select name from items where id = 2").Scan(&name)
		return name == "changed" && s.count() == 100
	})
	s.expect(exitDone, "streaming", "status")
	s.expect(exitDone, "sink copy", "status")
	s.expect(exitDone, "the cluster answers", "check")
	topic := s.name + ".public.items"
	s.expect(exitDone, `"key":{"id":101},"value":{"before":null,"after":{"id":101,"name":"new"}`, "tail", topic, "--exit")
	s.expect(exitFailed, "there is no topic", "tail", topic+"s", "--exit")
	s.expect(exitFailed, "stop capture first", "teardown", "--yes")
	s.expect(exitFailed, "cannot serve", "capture")
	if r := stop(); r.code != exitDone || !strings.Contains(r.err, "sluice has stopped") {
		t.Errorf("run ended with %d\n%s", r.code, r.err)
	}
	s.expect(exitDone, "dropped", "teardown", "--yes")
	s.expect(exitDone, "nothing of ours", "teardown", "--yes")
	if s.count() != 100 {
		t.Error("teardown touched the rows of the destination")
	}
}

// TestSeparateProcesses runs capture and sink apart, the sink first, and capture twice.
func TestSeparateProcesses(t *testing.T) {
	s := newSite(t)
	stopSink := s.background("sink", "copy")
	stopCapture := s.background("capture")
	s.eventually("the snapshot is there", func() bool { return s.count() == 100 })
	s.eventually("capture is ready", s.ready)
	if r := stopCapture(); r.code != exitDone {
		t.Errorf("capture ended with %d\n%s", r.code, r.err)
	}
	s.exec(s.source, "insert into items select n, 'later' from generate_series(101, 200) n")
	stopCapture = s.background("capture")
	s.eventually("the rest is there", func() bool { return s.count() == 200 })
	for name, stop := range map[string]func() result{"capture": stopCapture, "sink": stopSink} {
		if r := stop(); r.code != exitDone {
			t.Errorf("%s ended with %d\n%s", name, r.code, r.err)
		}
	}
}

// A sink that fails for good does not stop capture: the source is never held up by a destination.
func TestCaptureOutlivesItsSinks(t *testing.T) {
	s := newSite(t)
	s.exec(s.destination, "create table items (id int primary key)", "create view other as select 1", "drop table items",
		"create table items (id int primary key, name int)") // 'item 1' is not an int
	stop := s.background("run")
	s.eventually("the sink has stopped", func() bool {
		r := command(t.Context(), "status", "-c", s.config)
		return strings.Contains(r.out, "parking ends") && strings.Contains(r.out, "streaming") // for good, and not between two attempts
	})
	if s.ready() {
		t.Error("it calls itself ready")
	}
	if r := stop(); r.code != exitFailed || !strings.Contains(r.err, "sink copy") {
		t.Errorf("run ended with %d\n%s", r.code, r.err)
	}
}

func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("the demo takes ten seconds")
	}
	harness.SharedPostgres(t, 0) // skips where there is none
	r := command(t.Context(), "demo", "--once")
	if r.code != exitDone || !strings.Contains(r.out, "both sides hold the same") || strings.Contains(r.out, "\x1b") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
}
