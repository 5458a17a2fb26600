package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
)

// BenchmarkApply gives rows/s, and microseconds of CPU a row of ours and of the server's session, for
// 200,000 rows of an orders table in batches of 5,000 changes, and for batches of one row. The cases
// build on each other: run all of them, with -benchtime 1x.
func BenchmarkApply(b *testing.B) {
	server, err := harness.StartPostgres(harness.Options{})
	if err != nil {
		b.Skip(err)
	}
	defer server.Close()
	dsn := server.DSN("postgres")
	for _, c := range []struct {
		name        string
		batch, rows int
		change      func(i int) change.Change
	}{
		{"inserts", 5000, 200_000, order(orders, change.Create, "new")},
		{"inserts of rows that are there", 5000, 200_000, order(orders, change.Create, "seen")},
		{"updates", 5000, 200_000, order(orders, change.Update, "paid")},
		{"updates with an unchanged value", 5000, 200_000, order(orders, change.Update, "<unchanged>")},
		{"one-row updates", 1, 5_000, order(orders, change.Update, "sent")},
		{"deletes", 5000, 200_000, func(i int) change.Change {
			return remove(orders, strconv.Itoa(i), "", "", "", "", "", "", "")
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				measure(b, dsn, batches(c.batch, c.rows, c.change))
			}
		})
	}
}

var orders = ordersTable("orders")

func ordersTable(name string) *change.Table {
	return table(name, "id bigint", "customer integer", "sku text", "amount numeric(12,2)", "status text",
		"at timestamp with time zone", "ref uuid", "note text")
}

func order(t *change.Table, op change.Op, status string) func(int) change.Change {
	note := strings.Repeat("note ", 8)
	return func(i int) change.Change {
		id := strconv.Itoa(i)
		return change.Change{Op: op, Table: t, After: row(id, strconv.Itoa(i%9973), "SKU-"+id, "12.50", status,
			"2026-02-03 04:05:06.789012+00", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", note)}
	}
}

// BenchmarkLock gives what a lock costs: a table without and one with it get the same batches in turns, and the medians of the
// batches' costs are compared. The cases build on each other: run all of them, with -benchtime 1x.
func BenchmarkLock(b *testing.B) {
	server, err := harness.StartPostgres(harness.Options{})
	if err != nil {
		b.Skip(err)
	}
	defer server.Close()
	modes := []postgres.LockMode{postgres.LockNone, postgres.LockEnforce, postgres.LockReport}
	var tables []*metered
	for _, mode := range modes {
		tables = append(tables, openMetered(b, server.DSN("postgres"), ordersTable("lock_"+string(mode)), mode))
	}
	for _, c := range []struct {
		name       string
		size, rows int
		change     func(t *change.Table) func(i int) change.Change
	}{
		{"inserts", 2000, 100_000, func(t *change.Table) func(int) change.Change { return order(t, change.Create, "new") }},
		{"updates", 2000, 100_000, func(t *change.Table) func(int) change.Change { return order(t, change.Update, "paid") }},
		{"one-row updates", 1, 3_000, func(t *change.Table) func(int) change.Change { return order(t, change.Update, "sent") }},
		{"deletes", 2000, 100_000, func(t *change.Table) func(int) change.Change {
			return func(i int) change.Change { return remove(t, strconv.Itoa(i), "", "", "", "", "", "", "") }
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			batch, costs := make([][]*sink.Batch, len(modes)), make([][]float64, len(modes))
			for i, m := range tables {
				batch[i] = batches(c.size, c.rows, c.change(m.table))
			}
			for n := range batch[0] {
				for i, m := range tables {
					costs[i] = append(costs[i], m.cost(b, batch[i][n])/float64(c.size))
				}
			}
			without := median(costs[0])
			b.ReportMetric(without, "cpu-µs/row-unlocked")
			for i, mode := range modes[1:] {
				b.ReportMetric(median(costs[1+i])/without*100-100, "%-"+string(mode))
			}
		})
	}
}

// metered is a sink whose costs are measured.
type metered struct {
	table *change.Table
	sink  *postgres.Sink
	pid   string
}

func openMetered(b *testing.B, dsn string, t *change.Table, lock postgres.LockMode) *metered {
	c := hard(t.Name)
	c.Name, c.Source = t.Name, "crm"
	o, err := postgres.FromConfig(c, postgres.Config{DSN: dsn + "&application_name=" + t.Name, Lock: lock}, nil)
	if err != nil {
		b.Fatal(err)
	}
	s, err := postgres.New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	if _, err := s.Resume(b.Context()); err != nil {
		b.Fatal(err)
	}
	return &metered{t, s, session(b, dsn, t.Name)}
}

// cost applies a batch and gives the microseconds of CPU that we and the server's session took.
func (m *metered) cost(b *testing.B, batch *sink.Batch) float64 {
	start := ownCPU(b) + scheduled(b, m.pid)
	if err := m.sink.Apply(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
	return float64((ownCPU(b) + scheduled(b, m.pid) - start).Nanoseconds()) / 1000
}

// scheduled reads the time that a process ran, the first field of /proc/PID/schedstat in nanoseconds.
func scheduled(b *testing.B, pid string) time.Duration {
	stat, err := os.ReadFile("/proc/" + pid + "/schedstat")
	if err != nil {
		b.Skip("needs /proc with schedstat")
	}
	var n time.Duration
	fmt.Sscan(string(stat), &n)
	return n
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func batches(size, rows int, make func(int) change.Change) []*sink.Batch {
	var out []*sink.Batch
	for from := 0; from < rows; from += size {
		b := &sink.Batch{Groups: 1, Checkpoint: sink.Checkpoint{Commit: change.LSN(from + 1), Complete: true}}
		for i := range size {
			b.Changes = append(b.Changes, make(from+i))
		}
		out = append(out, b)
	}
	return out
}

func measure(b *testing.B, dsn string, batches []*sink.Batch) {
	ctx := context.Background()
	c := hard("orders")
	c.Name, c.Source = "bench", "crm"
	o, err := postgres.FromConfig(c, postgres.Config{DSN: dsn}, nil)
	if err != nil {
		b.Fatal(err)
	}
	s, err := postgres.New(o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Resume(ctx); err != nil {
		b.Fatal(err)
	}
	pid := session(b, dsn, "sluice")
	start, own, server := time.Now(), ownCPU(b), processCPU(b, pid)
	rows := 0
	for _, batch := range batches {
		if err := s.Apply(ctx, batch); err != nil {
			b.Fatal(err)
		}
		rows += len(batch.Changes)
	}
	n := float64(rows)
	b.ReportMetric(n/time.Since(start).Seconds(), "rows/s")
	b.ReportMetric(float64((ownCPU(b)-own).Nanoseconds())/1000/n, "own-µs/row")
	b.ReportMetric(float64((processCPU(b, pid)-server).Nanoseconds())/1000/n, "server-µs/row")
}

// session gives the process id of the sink's session, by its application_name.
func session(b *testing.B, dsn, name string) string {
	conn, err := pgconn.Connect(context.Background(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.Background())
	r := conn.ExecParams(context.Background(), "SELECT max(pid) FROM pg_stat_activity WHERE application_name = $1", [][]byte{[]byte(name)}, nil, nil, nil).Read()
	if r.Err != nil {
		b.Fatal(r.Err)
	}
	return string(r.Rows[0][0])
}

func ownCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processCPU reads user and system time of a process, fields 14 and 15 of /proc/PID/stat in ticks of
// 10 ms (proc(5)).
func processCPU(b *testing.B, pid string) time.Duration {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		b.Skip("needs /proc")
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int64
	for _, f := range fields[11:13] {
		var n int64
		fmt.Sscan(string(f), &n)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
