package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/integration/check"
	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/process"
)

// programs is where the tests build sluice.
var programs = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "sluice-integration-") })

// binary builds sluice once for all tests.
var binary = sync.OnceValues(func() (string, error) { return build("sluice") })

func build(name string, flags ...string) (string, error) {
	folder, err := programs()
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, name)
	args := append(append([]string{"build"}, flags...), "-o", path, "github.com/sluicecdc/sluice/cmd/sluice")
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot build sluice: %w\n%s", err, out)
	}
	return path, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if folder, err := programs(); err == nil {
		_ = os.RemoveAll(folder) // what stays is in the system's temporary folder
	}
	os.Exit(code)
}

// deployment is a source, a destination, Kafka, and a configuration that joins them.
type deployment struct {
	t           *testing.T
	name        string // of the source
	source      string // DSN
	destination string // DSN
	brokers     []string
	folder      string
	config      string // path
	registry    string // URL
	console     string // host:port of capture
	sinkConsole string
	committed   bool // topics are read in read_committed
}

// newDeployment writes a configuration for the tables on servers of the version; edit may change its
// text. The breaker is off: workloads of the tests do to small tables what it is there to hold.
func newDeployment(t *testing.T, version int, tables []string, edit func(string) string) *deployment {
	t.Helper()
	pg := harness.SharedPostgres(t, version)
	d := &deployment{
		t: t, name: harness.Unique("src"), source: pg.NewDatabase(), destination: pg.NewDatabase(),
		brokers: harness.SharedKafka(t).Addrs(), folder: t.TempDir(),
		console: freeAddress(t), sinkConsole: freeAddress(t),
	}
	listen := freeAddress(t)
	d.registry = "http://" + listen
	var mapped strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&mapped, "      - {from: %s, deletes: hard, truncate: apply}\n", table)
	}
	text := fmt.Sprintf(`source:
  name: %s
  dsn: ${SOURCE_DSN}
  tables: [%s]
kafka:
  brokers: [%s]
schemas:
  registry: embedded
  embedded_listen: %s
sinks:
  copy:
    type: postgres
    breaker: off
    dsn: ${DESTINATION_DSN}
    tables:
%sconsole: {listen: "%s", sink_listen: "%s"}
data_dir: %s
`, d.name, strings.Join(tables, ", "), strings.Join(d.brokers, ", "), listen, mapped.String(), d.console, d.sinkConsole,
		filepath.Join(d.folder, "data"))
	if edit != nil {
		text = edit(text)
	}
	d.config = filepath.Join(d.folder, "sluice.yml")
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// edit replaces a piece of the configuration.
func (d *deployment) edit(old, by string) {
	d.t.Helper()
	text, err := os.ReadFile(d.config)
	if err != nil || !strings.Contains(string(text), old) {
		d.t.Fatalf("the configuration has no %q (%v)", old, err)
	}
	next := d.config + ".next" // a process that starts now reads the one or the other
	if err := os.WriteFile(next, []byte(strings.Replace(string(text), old, by, 1)), 0o600); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(next, d.config); err != nil {
		d.t.Fatal(err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func (d *deployment) env() []string {
	return []string{"SOURCE_DSN=" + d.source, "DESTINATION_DSN=" + d.destination}
}

// start runs a command of sluice that stays; its log is shown when the test fails.
func (d *deployment) start(args ...string) *process.Process {
	d.t.Helper()
	path, err := binary()
	if err != nil {
		d.t.Fatal(err)
	}
	return d.launch(path, nil, args...)
}

// launch starts a program of sluice with more environment.
func (d *deployment) launch(path string, env []string, args ...string) *process.Process {
	d.t.Helper()
	log := filepath.Join(d.folder, args[0]+".log")
	p, err := process.Start(process.Spec{Path: path, Args: append(args, "-c", d.config), Dir: d.folder, Env: append(d.env(), env...), Log: log})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		p.Kill()
		if d.t.Failed() {
			showTail(d.t, log)
		}
	})
	return p
}

// showTail logs the last lines of a log once.
func showTail(t *testing.T, log string) {
	text, err := os.ReadFile(log)
	if err != nil {
		return
	}
	_ = os.Remove(log) // so that the next process of the same log does not show it again
	lines := strings.Split(string(text), "\n")
	t.Logf("%s:\n%s", filepath.Base(log), strings.Join(lines[max(0, len(lines)-60):], "\n"))
}

// stop ends a process as an operator does.
func (d *deployment) stop(p *process.Process) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := p.Stop(ctx, syscall.SIGTERM); err != nil {
		d.t.Fatalf("stop: %v", err)
	}
	if err := p.Err(); err != nil {
		d.t.Errorf("a stopped process should exit with 0: %v", err)
	}
}

// command runs a command of sluice to its end and gives what it printed and its exit status.
func (d *deployment) command(args ...string) (output string, status int) {
	d.t.Helper()
	path, err := binary()
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append(args, "-c", d.config)...)
	cmd.Env = append(os.Environ(), d.env()...)
	cmd.Dir = d.folder
	out, _ := cmd.CombinedOutput() // the status tells
	return string(out), cmd.ProcessState.ExitCode()
}

// exec runs statements at the source, each its own transaction.
func (d *deployment) exec(statements ...string) {
	d.t.Helper()
	execAt(d.t, d.source, statements...)
}

func execAt(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// scan asks one value.
func scan[V any](t *testing.T, dsn, query string, args ...any) (v V) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// caughtUp waits until the destination holds everything that is committed at the source now, by asking
// the destination.
func (d *deployment) caughtUp(within time.Duration) {
	d.t.Helper()
	target := scan[string](d.t, d.source, "select pg_current_wal_insert_lsn()::text")
	eventually(d.t, within, "the destination to reach "+target, func() bool {
		exists := scan[bool](d.t, d.destination, "select to_regclass('sluice.progress') is not null")
		return exists && scan[bool](d.t, d.destination, "select coalesce(bool_and(complete and commit_lsn >= $1::text::pg_lsn), false) from sluice.progress", target)
	})
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, within time.Duration, what string, ask func() bool) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ask() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s for %s", within, what)
		}
	}
}

// same fails the test when the tables differ between source and destination.
func (d *deployment) same(tables ...string) {
	d.t.Helper()
	differences, err := check.Tables(d.t.Context(), d.source, d.destination, check.Same(tables...)...)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, diff := range differences {
		d.t.Error(diff)
	}
}

// topicsHold fails the test when the topics contradict themselves, or hold what the source did not commit.
func (d *deployment) topicsHold() *check.Log {
	d.t.Helper()
	log := d.readTopics()
	found := log.Check()
	if !log.Gaps() {
		phantoms, err := check.Phantoms(d.t.Context(), d.source, log)
		if err != nil {
			d.t.Fatal(err)
		}
		found = append(found, phantoms...)
	}
	for i, v := range found {
		if i == 20 {
			d.t.Fatal("and more")
		}
		d.t.Error(v)
	}
	return log
}

// readTopics gives all that the topics hold.
func (d *deployment) readTopics() *check.Log {
	d.t.Helper()
	log, err := check.Read(d.t.Context(), check.Place{Brokers: d.brokers, Registry: d.registry, Source: d.name, Committed: d.committed})
	if err != nil {
		d.t.Fatal(err)
	}
	return log
}
