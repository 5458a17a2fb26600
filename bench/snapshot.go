package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/internal/process"
)

// snapshotContenders copy the rows that a table has.
func (b *bench) snapshotContenders() []contender {
	all := []contender{
		{"COPY to /dev/null, binary", copyToNull},
		{"sluice first copy into Kafka, 1 worker", snapshotSluice(1)},
		{"sluice first copy into Kafka, 2 workers", snapshotSluice(2)},
	}
	if b.peers {
		all = append(all, contender{"Debezium initial snapshot into Kafka", snapshotDebezium})
	}
	return all
}

// snapshot loads a table and has every contender copy it, in turn.
func (b *bench) snapshot(ctx context.Context) (result, error) {
	job := drainJob{bench: b, database: "bench_s"}
	r := result{Workload: "S", Title: "a table that is there", Rows: b.rows}
	if err := b.postgres.CreateDatabase(ctx, job.database); err != nil {
		return r, err
	}
	job.dsn = b.postgres.DSN(job.database)
	conn, err := pgx.Connect(ctx, job.dsn)
	if err != nil {
		return r, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := load.CreateOrders(ctx, conn); err != nil {
		return r, err
	}
	if err := (load.Orders{Seed: seed, First: 1, Rows: b.rows, Commit: 100_000}).Insert(ctx, conn); err != nil {
		return r, err
	}
	if _, err := conn.Exec(ctx, "vacuum analyze orders"); err != nil {
		return r, err
	}
	for run := range b.runs {
		for i, c := range b.snapshotContenders() {
			job.name = fmt.Sprintf("s_c%d_r%d", i, run)
			if _, err := conn.Exec(ctx, "checkpoint"); err != nil {
				return r, err
			}
			before := b.brokerCPU()
			s, err := c.drain(ctx, job)
			if err != nil {
				return r, fmt.Errorf("%s: %w", c.name, err)
			}
			s.Broker = b.brokerCPU() - before
			r.add(c.name, s)
		}
	}
	return r, nil
}

// brokerCPU gives the seconds of CPU that the broker has used (proc(5): utime and stime, in hundredths).
func (b *bench) brokerCPU() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.kafka.PID(0))) // elsewhere it stays unknown
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}

// copyToNull has PostgreSQL's own client read the table as a copy does, and throws everything away.
func copyToNull(ctx context.Context, d drainJob) (sample, error) {
	path, err := exec.LookPath("psql")
	if err != nil {
		return sample{}, errors.New("psql is not installed: it comes with PostgreSQL's client programs")
	}
	cmd := exec.CommandContext(ctx, path, "-X", "-d", d.dsn, "-c", `\copy (select * from orders) to '/dev/null' (format binary)`)
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return sample{}, err
	}
	return measure(cmd, time.Since(start)), nil
}

// snapshotSluice runs capture until the table is copied and Kafka holds it.
func snapshotSluice(workers int) func(context.Context, drainJob) (sample, error) {
	return func(ctx context.Context, d drainJob) (sample, error) {
		s, err := d.capture(ctx, fmt.Sprintf("{workers: %d}", workers), func(ctx context.Context, console int) error {
			return awaitCopied(ctx, console)
		})
		if err != nil {
			return s, err
		}
		conn, err := pgx.Connect(ctx, d.dsn)
		if err != nil {
			return s, err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		return s, dropSlot(ctx, conn, "sluice_"+d.name)
	}
}

// awaitCopied waits until every copy is done.
func awaitCopied(ctx context.Context, port int) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := copied(ctx, port); err == nil && done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func copied(ctx context.Context, port int) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/api/status", port), nil)
	if err != nil {
		return false, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	var status struct {
		Capture struct {
			Copies []struct {
				State string `json:"state"`
			} `json:"copies"`
		} `json:"capture"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
		return false, err
	}
	for _, c := range status.Capture.Copies {
		if c.State != "done" {
			return false, nil
		}
	}
	return len(status.Capture.Copies) > 0, nil
}

// ports are free ones for a process.
func ports() (registry, console int, err error) {
	registry, err = process.FreePort()
	if err == nil {
		console, err = process.FreePort()
	}
	return registry, console, err
}

// file names the configuration of one run.
func (d drainJob) file() string { return filepath.Join(d.folder, d.database+"_"+d.name+".yml") }
