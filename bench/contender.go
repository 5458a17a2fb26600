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
	"strings"
	"syscall"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// sample is one drain by one contender.
type sample struct {
	Seconds float64 `json:"seconds"` // from the start of the process until the last change is safe
	CPU     float64 `json:"cpu_seconds"`
	PeakMB  float64 `json:"peak_mb"` // resident, of the process
	Broker  float64 `json:"broker_cpu_seconds,omitempty"`
}

// measure takes what the kernel has counted for an ended process.
func measure(cmd *exec.Cmd, wall time.Duration) sample {
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return sample{
		Seconds: wall.Seconds(),
		CPU:     (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(),
		PeakMB:  float64(usage.Maxrss) / 1024,
	}
}

// recvlogical reads the slot with PostgreSQL's own reader and throws everything away.
func recvlogical(option string) func(context.Context, drainJob) (sample, error) {
	return func(ctx context.Context, d drainJob) (sample, error) {
		path, err := recvlogicalPath()
		if err != nil {
			return sample{}, err
		}
		args := []string{"-d", d.dsn, "--slot", "sluice_" + d.name, "--start", "--endpos", d.target, "-f", "/dev/null",
			"--fsync-interval", "0", "--no-loop", "-o", "proto_version=1", "-o", "publication_names=sluice_" + d.name}
		if option == "binary" {
			args = append(args, "-o", "binary=true")
		}
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Stderr = os.Stderr
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return sample{}, err
		}
		return measure(cmd, time.Since(start)), nil
	}
}

func recvlogicalPath() (string, error) {
	if path, err := exec.LookPath("pg_recvlogical"); err == nil {
		return path, nil
	}
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_recvlogical")
	if len(paths) == 0 {
		return "", fmt.Errorf("pg_recvlogical is not installed: it comes with PostgreSQL's client programs")
	}
	return paths[len(paths)-1], nil
}

// configuration is that of a user who sets nothing but addresses.
const configuration = `source:
  name: %[1]s
  dsn: %[2]s
  tables: [public.orders]
  snapshot: %[7]s
kafka:
  brokers: [%[3]s]
schemas:
  registry: embedded
  embedded_listen: 127.0.0.1:%[4]d
console: {listen: "127.0.0.1:%[5]d"}
data_dir: %[6]s
`

// drainSluice runs capture as a user would. It counts as done when the target is durable in Kafka.
func drainSluice(ctx context.Context, d drainJob) (sample, error) {
	target, err := change.ParseLSN(d.target)
	if err != nil {
		return sample{}, err
	}
	return d.capture(ctx, "{mode: never}", func(ctx context.Context, console int) error { return awaitDurable(ctx, console, target) })
}

// capture runs sluice capture until it has done what is waited for.
func (d drainJob) capture(ctx context.Context, snapshot string, await func(ctx context.Context, console int) error) (sample, error) {
	registry, console, err := ports()
	if err != nil {
		return sample{}, err
	}
	text := fmt.Sprintf(configuration, d.name, d.dsn, strings.Join(d.kafka.Addrs(), ", "), registry, console, d.file()+".data", snapshot)
	if err := os.WriteFile(d.file(), []byte(text), 0o600); err != nil {
		return sample{}, err
	}
	log, err := os.Create(d.file() + ".log")
	if err != nil {
		return sample{}, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, d.binary, "capture", "-c", d.file())
	cmd.Stderr = log
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	waiting, giveUp := context.WithTimeout(ctx, drainTime)
	defer giveUp()
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		giveUp() // whether it was asked to end or not, there is nothing more to wait for
	}()
	late := await(waiting, console)
	wall := time.Since(start)
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	if err := errors.Join(late, <-ended); err != nil {
		text, _ := os.ReadFile(d.file() + ".log")
		return sample{}, fmt.Errorf("capture did not come to the end of %s: %w\n%s", d.name, err, text)
	}
	return measure(cmd, wall), nil
}

// drainTime bounds one drain.
const drainTime = 10 * time.Minute

func awaitDurable(ctx context.Context, port int, target change.LSN) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if durable, err := durableLSN(ctx, port); err == nil && durable >= target {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func durableLSN(ctx context.Context, port int) (change.LSN, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/api/status", port), nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var status struct {
		Capture struct {
			Durable change.LSN `json:"durable_lsn"`
		} `json:"capture"`
	}
	err = json.NewDecoder(answer.Body).Decode(&status)
	return status.Capture.Durable, err
}
