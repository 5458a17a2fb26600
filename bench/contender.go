package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// sample is one run of one contender.
type sample struct {
	Start   float64 `json:"start_seconds"` // until it streams
	Seconds float64 `json:"seconds"`       // from there until the last change is safe
	Own     []use   `json:"own"`           // of the contender's processes
	Servers servers `json:"servers"`
}

// job is what a contender is to do.
type job struct {
	*bench
	backlog
	database string // at the source, and at the destination with it
	dsn      string // of the source
	name     string // of the run: source name, suffix of the slot and the publication, database at the destination
	target   string // LSN of the backlog's end

	compression string // of sluice; empty for the default
}

// contender does a job.
type contender struct {
	name    string
	against string // whose rate its own is compared with
	run     func(ctx context.Context, j job) (sample, error)
}

// file names the configuration of one run.
func (j job) file() string { return filepath.Join(j.folder, j.database+"_"+j.name+".yml") }

// runTime bounds one run: ten million rows at the rate of the slowest contender.
const runTime = 20 * time.Minute

// recvlogical reads the slot with PostgreSQL's own reader and throws everything away.
func recvlogical(ctx context.Context, j job) (sample, error) {
	path, err := clientProgram("pg_recvlogical")
	if err != nil {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, path, "-d", j.dsn, "--slot", "sluice_"+j.name, "--start",
		"--endpos", j.target, "-f", "/dev/null", "--fsync-interval", "0", "--no-loop",
		"-o", "proto_version=1", "-o", "publication_names=sluice_"+j.name, "-o", "binary=true")
	return toEnd("pg_recvlogical", cmd)
}

// clientProgram finds one of PostgreSQL's own, which Debian keeps beside the servers.
func clientProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(paths) == 0 {
		return "", fmt.Errorf("%s is not installed: it comes with PostgreSQL's client programs", name)
	}
	return paths[len(paths)-1], nil
}

// toEnd runs a program that ends by itself.
func toEnd(name string, cmd *exec.Cmd) (sample, error) {
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	p := watchPeak(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		return sample{}, fmt.Errorf("%s: %w", name, err)
	}
	return sample{Seconds: time.Since(start).Seconds(), Own: []use{used(name, cmd, p)}}, nil
}
