package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/process"
)

// One transaction that is much larger than the memory budget goes through capture and sink, is seen at
// the destination whole or not at all, and leaves both within their budget; others run beside it and roll back to
// savepoints. With SLUICE_FAULTS set it has ten million rows.
func TestTransactionLargerThanMemory(t *testing.T) {
	rows, width, budget, limit := 400_000, 8, 32<<20, 3*time.Minute
	if os.Getenv("SLUICE_FAULTS") != "" {
		rows, width, budget, limit = 10_000_000, 1, 128<<20, 20*time.Minute
	}
	d := newDeployment(t, 15, []string{oneTable, "public.beside"}, func(text string) string { return text + fmt.Sprintf("memory: %dMiB\n", budget>>20) })
	d.exec("create table t (id bigint primary key, body text)", "insert into t values (0, 'first')", "create table beside (id bigint primary key, body text)")
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	large := func(table string, rows, width int) string {
		return fmt.Sprintf("insert into %s select i, repeat(md5(i::text), %d) from generate_series(1, %d) i", table, width, rows)
	}
	beside := make(chan error, 1)
	go func() {
		beside <- runAt(t.Context(), d.source, "begin", large("beside", rows/10, width), "savepoint s", "update beside set body = 'never'", "delete from beside", "rollback to s",
			"savepoint s", "insert into beside select -i, 'kept' from generate_series(1, 1000) i", "release s", "commit")
	}()
	begun := time.Now()
	d.exec(large("t", rows, width))
	committed := time.Now()
	if err := <-beside; err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	target := scan[string](t, d.source, "select pg_current_wal_insert_lsn()::text")
	eventually(t, limit, "the large transaction to arrive", func() bool {
		seen[scan[int64](t, d.destination, "select count(*) from t")] = true
		return scan[bool](t, d.destination, "select commit_lsn >= $1::text::pg_lsn from sluice.progress", target)
	})
	t.Logf("%d rows: written in %s, at the destination %s later", rows, committed.Sub(begun).Round(time.Second), time.Since(committed).Round(time.Second))
	delete(seen, 1)
	delete(seen, int64(rows)+1)
	if len(seen) > 0 {
		t.Errorf("readers of the destination saw parts of the transaction: %v rows", seen)
	}
	d.same(oneTable, "public.beside")
	for name, p := range map[string]*process.Process{"capture": capture, "sink": sink} {
		peak := peakBytes(t, p)
		t.Logf("%s: peak %d MiB", name, peak>>20)
		// The runtime, the code and connections come on top of the budget.
		if peak > budget+96<<20 {
			t.Errorf("%s took %d MiB at its peak with a budget of %d MiB", name, peak>>20, budget>>20)
		}
	}
	d.stop(sink)
	d.stop(capture)
}

// runAt executes statements in one session.
func runAt(ctx context.Context, dsn string, statements ...string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// peakBytes gives the peak of the resident memory of a process.
func peakBytes(t *testing.T, p *process.Process) int {
	t.Helper()
	peak, err := peakOf(p)
	if err != nil {
		t.Fatal(err)
	}
	return peak
}

// peakOf asks the kernel (proc(5), VmHWM); a process that has ended has none.
func peakOf(p *process.Process) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(value)[0])
			return kb << 10, err
		}
	}
	return 0, errors.New("the kernel does not tell VmHWM")
}
