package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

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
	folder      string
	binary      string
	source      *localpg.Server
	destination *localpg.Server
	kafka       *harness.Cluster
	registry    *harness.ApicurioRegistry // of the peers; nil without them
}

// postgresSettings are those of servers of this size; durability is as a production server has it. The times of
// commits are kept for workload E.
var postgresSettings = map[string]string{
	"shared_buffers":         "512MB",
	"max_wal_size":           "8GB",
	"max_replication_slots":  "100",
	"track_commit_timestamp": "on",
}

// brokerSettings have the broker stamp records when it appends them, for workload E, and prepare 1 MiB for the indexes of a
// new segment: of the 10 MiB of the default the first write costs a new kernel ten milliseconds, and in I 1,200 are new.
var brokerSettings = map[string]string{"log.message.timestamp.type": "LogAppendTime", "log.index.size.max.bytes": "1048576"}

// brokerJVM is a broker with a heap for sustained load and all compilers.
var brokerJVM = []string{"-Xms512m", "-Xmx512m", "-XX:+UseSerialGC"}

func (p plan) run(ctx context.Context) (err error) {
	for _, name := range p.workloads {
		if titles[name] == "" {
			return fmt.Errorf("there is no workload %q", name)
		}
	}
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
	if err := b.warm(ctx); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	r := newReport(p)
	r.header()
	for _, name := range p.workloads {
		result, err := b.measure(ctx, name)
		if err != nil {
			return fmt.Errorf("workload %s: %w", name, err)
		}
		if err := r.add(result); err != nil {
			return err
		}
	}
	return nil
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
	options := harness.Options{Version: 15, Settings: postgresSettings}
	if b.source, err = harness.StartPostgres(options); err != nil {
		return err
	}
	if b.destination, err = harness.StartPostgres(options); err != nil {
		return err
	}
	b.kafka, err = harness.StartKafka(ctx, harness.KafkaOptions{JVM: brokerJVM, Settings: brokerSettings})
	return err
}

func (b *bench) stop() error {
	var errs []error
	if b.registry != nil {
		errs = append(errs, b.registry.Close())
	}
	if b.kafka != nil {
		errs = append(errs, b.kafka.Close())
	}
	for _, s := range []*localpg.Server{b.destination, b.source} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
