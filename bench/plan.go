package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/localpg"
)

// seed makes every run of the benchmark load the same rows.
const seed = 7

// plan is one call of the benchmark.
type plan struct {
	rows      int64
	runs      int
	workloads []string
	out       string
	peers     bool
}

// bench holds the servers and the binary under test.
type bench struct {
	plan
	folder   string
	binary   string
	postgres *localpg.Server
	kafka    *harness.Cluster
}

// postgresSettings are those of a server of this size; durability is as a production server has it.
var postgresSettings = map[string]string{
	"shared_buffers": "512MB",
	"max_wal_size":   "8GB",
}

func (p plan) run(ctx context.Context) (err error) {
	b := bench{plan: p}
	if b.folder, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.folder)) }()
	if err := b.build(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.start(ctx); err != nil {
		return err
	}
	if p.peers {
		if err := b.fetchPeers(ctx); err != nil {
			return err
		}
	}
	report := newReport(p)
	report.header(os.Stdout)
	for _, name := range p.workloads {
		if name == "L" {
			if err := b.live(ctx, io.MultiWriter(os.Stdout, &report.text)); err != nil {
				return fmt.Errorf("workload L: %w", err)
			}
			continue
		}
		results, err := b.measure(ctx, name)
		if err != nil {
			return fmt.Errorf("workload %s: %w", name, err)
		}
		report.add(os.Stdout, results)
	}
	return report.save()
}

func (b *bench) measure(ctx context.Context, name string) (result, error) {
	if name == "S" {
		return b.snapshot(ctx)
	}
	w, ok := workloads[name]
	if !ok {
		return result{}, errors.New("there is no such workload")
	}
	return b.drain(ctx, w)
}

// build makes the binary as users get it.
func (b *bench) build(ctx context.Context) error {
	b.binary = filepath.Join(b.folder, "sluice")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.binary, "./cmd/sluice")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot build sluice: %w", err)
	}
	return nil
}

func (b *bench) start(ctx context.Context) (err error) {
	if b.postgres, err = harness.StartPostgres(harness.Options{Version: 15, Settings: postgresSettings}); err != nil {
		return err
	}
	b.kafka, err = harness.StartKafka(ctx, harness.KafkaOptions{JVM: brokerJVM})
	return err
}

// brokerJVM is a broker with a heap for sustained load and all compilers.
var brokerJVM = []string{"-Xms512m", "-Xmx512m", "-XX:+UseSerialGC"}

func (b *bench) stop() error {
	var errs []error
	if b.kafka != nil {
		errs = append(errs, b.kafka.Close())
	}
	if b.postgres != nil {
		errs = append(errs, b.postgres.Close())
	}
	return errors.Join(errs...)
}

// workload is one kind of backlog.
type workload struct {
	name   string
	title  string
	update bool
	commit int64 // rows of a transaction; 0: all
	share  int64 // of plan.rows: 1 over it
}

var workloads = map[string]workload{
	"A": {"a", "inserts in one transaction", false, 0, 1},
	"B": {"b", "inserts in 1,000-row transactions", false, 1000, 1},
	"C": {"c", "one-row update transactions", true, 1, 5},
	"D": {"d", "updates in 1,000-row transactions", true, 1000, 1},
}

// orders gives the backlog's rows; updates need them loaded before the slots are made.
func (w workload) orders(p plan) load.Orders {
	return load.Orders{Seed: seed, First: 1, Rows: p.rows / w.share, Commit: w.commit}
}
