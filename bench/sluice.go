package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/process"
)

// configuration is that of a user who sets nothing but what must be.
const configuration = `source:
  name: %[1]s
  dsn: %[2]s
  tables: [%[3]s]
  snapshot: %[4]s
kafka:
  brokers: [%[5]s]
  compression: %[12]s
schemas:
  registry: embedded
  embedded_listen: 127.0.0.1:%[6]d
sinks:
  copy:
    type: postgres
    breaker: off
    dsn: %[7]s
    tables:
%[8]s
console: {listen: "127.0.0.1:%[9]d", sink_listen: "127.0.0.1:%[10]d"}
data_dir: %[11]s
`

// programs are the processes of sluice in one run.
type programs struct {
	job
	console int // of capture
	running []*program
}

type program struct {
	name  string
	cmd   *exec.Cmd
	peak  peak
	log   string
	ended chan struct{} // closed once err is known
	err   error
}

// configure writes the configuration of a run.
func (j job) configure(snapshot string) (*programs, error) {
	var port [3]int
	for i := range port {
		var err error
		if port[i], err = process.FreePort(); err != nil {
			return nil, err
		}
	}
	var tables strings.Builder
	for _, t := range j.tables {
		fmt.Fprintf(&tables, "      - {from: public.%s, deletes: hard, truncate: apply}\n", t)
	}
	text := fmt.Sprintf(configuration, j.name, j.dsn, j.patterns(), snapshot, strings.Join(j.kafka.Addrs(), ", "), port[0],
		j.destination.DSN(j.name), strings.TrimSuffix(tables.String(), "\n"), port[1], port[2], j.file()+".data", cmp.Or(j.compression, "none"))
	return &programs{job: j, console: port[1]}, os.WriteFile(j.file(), []byte(text), 0o600)
}

// start starts sluice capture or sluice sink.
func (p *programs) start(ctx context.Context, command string) error {
	run := &program{name: command, log: p.file() + "." + command + ".log", ended: make(chan struct{})}
	log, err := os.Create(run.log)
	if err != nil {
		return err
	}
	defer log.Close()
	run.cmd = exec.CommandContext(ctx, p.binary, command, "-c", p.file())
	run.cmd.Stdout, run.cmd.Stderr = log, log
	if err := run.cmd.Start(); err != nil {
		return err
	}
	run.peak = watchPeak(run.cmd.Process.Pid)
	go func() {
		run.err = run.cmd.Wait()
		close(run.ended)
	}()
	p.running = append(p.running, run)
	return nil
}

// run starts the commands, waits and ends them. The time is from when capture streams until await returns.
func (p *programs) run(ctx context.Context, commands []string, await func(context.Context) error) (sample, error) {
	start := time.Now()
	var err error
	for _, c := range commands {
		err = errors.Join(err, p.start(ctx, c))
	}
	waiting, giveUp := context.WithCancel(ctx)
	defer giveUp()
	for _, run := range p.running {
		go func() {
			<-run.ended
			giveUp() // whether it was asked to end or not, there is nothing more to wait for
		}()
	}
	var s sample
	if err == nil {
		err = p.await(waiting, func(s status) bool { return s.Capture.State == "streaming" || s.Capture.State == "snapshot" })
		s.Start = time.Since(start).Seconds()
	}
	if err == nil {
		err = await(waiting)
		s.Seconds = time.Since(start).Seconds() - s.Start
	}
	return s, errors.Join(err, p.stop(&s))
}

// stop ends the processes, those that read first, and takes what they have used.
func (p *programs) stop(s *sample) (err error) {
	for i := len(p.running) - 1; i >= 0; i-- {
		run := p.running[i]
		_ = run.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-run.ended
		if run.err != nil {
			text, _ := os.ReadFile(run.log)
			err = errors.Join(err, fmt.Errorf("sluice %s of %s: %w\n%s", run.name, p.name, run.err, tail(string(text))))
		}
		s.Own = append([]use{used("sluice "+run.name, run.cmd, run.peak)}, s.Own...)
	}
	return err
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// drainCapture counts as done when the target is durable in Kafka.
func drainCapture(ctx context.Context, j job) (sample, error) {
	target, err := j.lsn()
	if err != nil {
		return sample{}, err
	}
	p, err := j.configure("{mode: never}")
	if err != nil {
		return sample{}, err
	}
	return p.run(ctx, []string{"capture"}, func(ctx context.Context) error { return p.awaitDurable(ctx, target) })
}

// drainPacked has capture pack its batches.
func drainPacked(compression string) func(context.Context, job) (sample, error) {
	return func(ctx context.Context, j job) (sample, error) {
		j.compression = compression
		return drainCapture(ctx, j)
	}
}

// drainBoth counts as done when the destination has committed the target.
func drainBoth(ctx context.Context, j job) (sample, error) {
	p, err := j.configure("{mode: never}")
	if err != nil {
		return sample{}, err
	}
	return p.run(ctx, []string{"capture", "sink"}, p.awaitMark)
}

// status is what we look at of /api/status.
type status struct {
	Capture struct {
		State   string     `json:"state"`
		Durable change.LSN `json:"durable_lsn"`
		Copies  []struct {
			State string `json:"state"`
		} `json:"copies"`
	} `json:"capture"`
}

func (p *programs) status(ctx context.Context) (s status, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/api/status", p.console), nil)
	if err != nil {
		return s, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	return s, json.NewDecoder(answer.Body).Decode(&s)
}

// await asks every 10 ms.
func (p *programs) await(ctx context.Context, done func(status) bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if s, err := p.status(ctx); err == nil && done(s) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (p *programs) awaitDurable(ctx context.Context, target change.LSN) error {
	return p.await(ctx, func(s status) bool { return s.Capture.Durable >= target })
}

// awaitCopied waits until every copy is done.
func (p *programs) awaitCopied(ctx context.Context) error {
	return p.await(ctx, func(s status) bool {
		for _, c := range s.Capture.Copies {
			if c.State != "done" {
				return false
			}
		}
		return len(s.Capture.Copies) > 0
	})
}
