package capture

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
)

// within bounds whatever a test waits for.
func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 60*time.Second)
}

// running is a capture under test.
type running struct {
	*Capture
	t    testing.TB
	stop context.CancelFunc
	done chan error
}

// opener is a Downstream that outlives captures.
type opener interface {
	Open(ctx context.Context, tables []*change.Table) (Downstream, error)
}

func start(t testing.TB, cfg Config, r opener) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &running{Capture: New(cfg, r.Open, logger(t), nil), t: t, stop: cancel, done: make(chan error, 1)}
	go func() { c.done <- c.Run(ctx); close(c.done) }()
	t.Cleanup(func() { cancel(); _ = c.end() })
	return c
}

func logger(t testing.TB) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// end waits for Run and gives its error.
func (c *running) end() error {
	c.t.Helper()
	return ended(c.t, "capture", c.done)
}

// finish stops gracefully.
func (c *running) finish() {
	c.t.Helper()
	c.stop()
	if err := c.end(); err != nil {
		c.t.Fatalf("a graceful stop gave: %v", err)
	}
}

func (c *running) awaitState(want State) {
	c.t.Helper()
	eventually(c.t, "state "+string(want), func() bool { return c.Status().State == want })
}

// ended wants a channel's value in time.
func ended[T any](t testing.TB, what string, done <-chan T) T {
	t.Helper()
	select {
	case v := <-done:
		return v
	case <-time.After(60 * time.Second):
		all := make([]byte, 1<<20)
		t.Fatalf("%s does not end\n%s", what, all[:runtime.Stack(all, true)])
		panic("unreachable")
	}
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	ctx, cancel := within()
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}

// db is a connection of the application.
type db struct {
	*pgx.Conn
	t testing.TB
}

func connect(t testing.TB, dsn string) *db {
	t.Helper()
	ctx, cancel := within()
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := within()
		defer cancel()
		conn.Close(ctx)
	})
	return &db{conn, t}
}

// run executes statements separated by semicolons, in one transaction unless they say otherwise.
func (d *db) run(sql string) {
	d.t.Helper()
	ctx, cancel := within()
	defer cancel()
	if _, err := d.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
}

func (d *db) ask(sql string, args ...any) (out string) {
	d.t.Helper()
	ctx, cancel := within()
	defer cancel()
	if err := d.QueryRow(ctx, sql, args...).Scan(&out); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// onEach runs a test on a database of each version.
func onEach(t *testing.T, f func(t *testing.T, cfg Config, d *db)) {
	for _, version := range versions {
		on(t, version, f)
	}
}

// versions are those that tests run on.
var versions = []int{15, 18}

func on(t *testing.T, version int, f func(t *testing.T, cfg Config, d *db)) {
	t.Run(fmt.Sprintf("PostgreSQL %d", version), func(t *testing.T) {
		dsn := harness.SharedPostgres(t, version).NewDatabase()
		f(t, Config{Name: harness.Unique("src"), DSN: dsn, Tables: []string{"public.*"}}, connect(t, dsn))
	})
}

// expect wants changes in their order. Rows that were copied before them have none among each other: tables
// are read side by side.
func expect(t testing.TB, got, want []string) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got[:copiedFirst(got)])
	slices.Sort(want[:copiedFirst(want)])
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// copiedFirst gives how many changes at the beginning are copied rows.
func copiedFirst(changes []string) int {
	n := slices.IndexFunc(changes, func(c string) bool { return !strings.HasPrefix(c, "r ") })
	if n < 0 {
		return len(changes)
	}
	return n
}

func TestOperations(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY, n int, s text);
			CREATE TABLE b (id bigint PRIMARY KEY, s text);
			INSERT INTO a VALUES (1, 10, 'one'), (2, NULL, 'two')`)
		cfg.Messages = []string{"outbox"}
		r := newRecorder(t)
		c := start(t, cfg, r)
		r.await(2)
		c.awaitCopies()
		d.run(`INSERT INTO a VALUES (3, 30, NULL)`)
		d.run(`BEGIN; UPDATE a SET n = 11 WHERE id = 1; INSERT INTO b VALUES (7, 'x'); DELETE FROM a WHERE id = 2; COMMIT`)
		d.run(`UPDATE a SET id = 4 WHERE id = 3`)
		d.run(`BEGIN; INSERT INTO a VALUES (90, 1, ''); ROLLBACK`)
		d.run(`BEGIN; INSERT INTO a VALUES (5, 1, ''); SAVEPOINT s; INSERT INTO a VALUES (91, 1, ''); ROLLBACK TO s; INSERT INTO a VALUES (6, 1, ''); COMMIT`)
		d.run(`BEGIN; SELECT pg_logical_emit_message(true, 'outbox', 'hello'); SELECT pg_logical_emit_message(true, 'other', 'no'); COMMIT`)
		d.run(`SELECT pg_logical_emit_message(false, 'outbox', 'alone')`)
		d.run(`TRUNCATE a, b`)
		expect(t, r.await(14), []string{
			"r a after(id:1 n:10 s:one)",
			"r a after(id:2 n:null s:two)",
			"c a after(id:3 n:30 s:null)",
			"u a after(id:1 n:11 s:one)",
			"c b after(id:7 s:x)",
			"d a before(id:2)",
			"d a before(id:3) other(id:4)",
			"c a after(id:4 n:30 s:null) other(id:3)",
			"c a after(id:5 n:1 s:)",
			"c a after(id:6 n:1 s:)",
			"m outbox=hello",
			"m outbox=alone",
			"t a",
			"t b",
		})
		c.finish()
	})
}
