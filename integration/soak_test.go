package integration

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/check"
	"github.com/sluicecdc/sluice/integration/fault"
	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/process"
)

// soakLoad is in transactions a second.
const soakLoad = 150

// TestSoak runs a steady load for as long as SLUICE_SOAK says (make soak) and breaks one thing after the other: wires,
// servers and, in the first half, processes. In the second half the processes live through everything, and must not grow.
// SLUICE_SOAK_REPORT names the file for the figures; SLUICE_SEED replays.
func TestSoak(t *testing.T) {
	lasts, err := time.ParseDuration(os.Getenv("SLUICE_SOAK"))
	if err != nil {
		t.Skip("set SLUICE_SOAK to a duration: make soak runs it for an hour")
	}
	s := newSoak(t, lasts)
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.work.Run(ctx) }()
	sightings := watchEvery(t, s.direct, 50*time.Millisecond, nil)
	half := time.Now().Add(lasts / 2)
	for ctx.Err() == nil {
		faults := s.faults()
		if time.Now().After(half) {
			faults = slices.DeleteFunc(faults, func(f soakFault) bool { return f.kills })
		}
		s.suffer(ctx, faults[s.random.IntN(len(faults))])
		if time.Now().After(half) {
			s.look()
		}
		pause(ctx, time.Duration(1000+s.random.IntN(4000))*time.Millisecond)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	seen := sightings()
	log := s.direct.unharmed(func() check.Sightings { return seen })
	s.flat()
	report := s.report(lasts, seen, log)
	t.Log(report)
	if path := os.Getenv("SLUICE_SOAK_REPORT"); path != "" && !t.Failed() {
		if err := os.WriteFile(path, []byte(report), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	s.capture.stop()
	s.sink.stop()
}

// soak is a deployment behind wires, on servers that may be killed.
type soak struct {
	t                   *testing.T
	seed                uint64
	random              *rand.Rand
	wires               *wires
	kafka               *harness.Cluster
	source, destination *harness.PG
	direct              *deployment
	capture, sink       *lasting
	work                *load.Workload
	recoveries          map[string][]time.Duration // by fault
}

// soakFault is something that breaks and is mended again.
type soakFault struct {
	name  string
	kills bool // a process of ours: its memory begins anew
	do    func(ctx context.Context)
}

func newSoak(t *testing.T, lasts time.Duration) *soak {
	s := &soak{t: t, seed: seedOf(t), recoveries: map[string][]time.Duration{}}
	s.random = rand.New(rand.NewPCG(s.seed, 80))
	// A frozen capture must be missed while it is frozen.
	s.source = harness.Postgres(t, harness.Options{Version: 18, Settings: map[string]string{"wal_sender_timeout": "3s"}})
	s.destination = harness.Postgres(t, harness.Options{Version: 15})
	s.wires = newWires(t)
	s.kafka = s.wires.kafka()
	s.direct = newDeployment(t, 18, load.TableNames(), nil)
	s.direct.source, s.direct.destination = s.source.NewDatabase(), s.destination.NewDatabase()
	s.work = load.New(load.Config{DSN: s.direct.source, Seed: s.seed, PerSecond: soakLoad})
	if err := s.work.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	capture, sink := s.wires.between(s.direct, s.kafka)
	s.capture = &lasting{d: capture, console: capture.console, command: []string{"capture"}}
	s.sink = &lasting{d: sink, console: sink.sinkConsole, command: []string{"sink", "copy"}}
	s.capture.start()
	s.sink.start()
	s.direct.caughtUp(60 * time.Second)
	t.Logf("%s of faults at %d transactions a second", lasts, soakLoad)
	return s
}

// faults are those of the next draw.
func (s *soak) faults() []soakFault {
	all := []soakFault{
		{"capture: kill -9", true, func(context.Context) { s.capture.kill() }},
		{"sink: kill -9", true, func(context.Context) { s.sink.kill() }},
		{"capture: frozen", true, func(ctx context.Context) { s.capture.freeze(ctx, 5*time.Second) }},
		{"sink: frozen", true, func(ctx context.Context) { s.sink.freeze(ctx, 5*time.Second) }},
		{"source dies", false, func(ctx context.Context) { die(ctx, s.source, s.random, s.moment()) }},
		{"destination dies", false, func(ctx context.Context) { die(ctx, s.destination, s.random, s.moment()) }},
		{"broker: kill -9", false, func(ctx context.Context) {
			s.kafka.Kill9(0)
			pause(ctx, s.moment())
			s.kafka.StartBroker(0)
		}},
	}
	for range 2 * len(all) { // two of three break a wire
		name, m := wireNames[s.random.IntN(len(wireNames))], fault.Modes[s.random.IntN(len(fault.Modes))]
		all = append(all, soakFault{"wire: " + string(m), false, func(ctx context.Context) {
			s.wires.become(s.wires.all[name], m)
			pause(ctx, s.moment())
			s.wires.become(s.wires.all[name], fault.Pass)
		}})
	}
	return all
}

// moment is how long something stays broken.
func (s *soak) moment() time.Duration {
	return time.Duration(100+s.random.IntN(3000)) * time.Millisecond
}

// suffer breaks something, and takes the time from its mending until the destination has everything that was
// committed by then.
func (s *soak) suffer(ctx context.Context, f soakFault) {
	s.t.Helper()
	f.do(ctx)
	mended := time.Now()
	s.direct.caughtUp(2 * time.Minute)
	s.recoveries[f.name] = append(s.recoveries[f.name], time.Since(mended))
}

// look takes the figures of both processes.
func (s *soak) look() {
	s.capture.look(s.t)
	s.sink.look(s.t)
}

// flat wants neither process to have grown while it lived through the faults of the second half.
func (s *soak) flat() {
	s.t.Helper()
	for _, p := range []*lasting{s.capture, s.sink} {
		for _, f := range soakFigures {
			first, last := p.ends(f.name)
			if first == 0 {
				s.t.Errorf("%s: nobody knows its %s", p.command[0], f.title)
			}
			if last > first*f.factor+f.more {
				s.t.Errorf("%s: %s grew from %.0f to %.0f", p.command[0], f.title, first/f.unit, last/f.unit)
			}
		}
	}
}

// soakFigures are what must stay, with how much noise is allowed.
var soakFigures = []struct {
	name, title        string
	unit, factor, more float64
}{
	{"process_resident_memory_bytes", "memory in MiB", 1 << 20, 1.25, 16 << 20},
	{"go_goroutines", "goroutines", 1, 1, 5},
	{"process_open_fds", "open files and connections", 1, 1, 5},
}

// lasting is a process that lives as long as it may.
type lasting struct {
	d       *deployment
	console string
	command []string
	running *process.Process
	figures []map[string]float64
}

func (l *lasting) start() { l.running = l.d.start(l.command...) }

func (l *lasting) stop() { l.d.stop(l.running) }

func (l *lasting) kill() {
	l.running.Kill()
	l.start()
}

// freeze stops the process for as long. One that ends for it is started again.
func (l *lasting) freeze(ctx context.Context, lasts time.Duration) {
	l.d.t.Helper()
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := l.running.Signal(signal); err != nil {
			l.d.t.Errorf("cannot signal a process: %v", err)
		}
		if signal == syscall.SIGSTOP {
			pause(ctx, lasts)
		}
	}
	select {
	case <-l.running.Done():
		l.start()
	case <-time.After(500 * time.Millisecond):
	}
}

// look reads the figures off the console.
func (l *lasting) look(t *testing.T) {
	t.Helper()
	select {
	case <-l.running.Done():
		t.Fatalf("%s ended by itself: %v", l.command[0], l.running.Err())
	default:
	}
	body, err := fetch("http://" + l.console + "/metrics")
	if err != nil {
		t.Errorf("%s: the console does not answer: %v", l.command[0], err)
		return
	}
	now := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			now[name] = v
		}
	}
	l.figures = append(l.figures, now)
}

// ends gives the medians of a figure over the first and the last fifth.
func (l *lasting) ends(name string) (first, last float64) {
	var all []float64
	for _, f := range l.figures {
		all = append(all, f[name])
	}
	fifth := max(len(all)/5, 1)
	if len(all) == 0 {
		return 0, 0
	}
	return median(all[:fifth]), median(all[len(all)-fifth:])
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// report is the document of a soak.
func (s *soak) report(lasts time.Duration, seen check.Sightings, log *check.Log) string {
	var b strings.Builder
	stats, faults := s.work.Stats(), 0
	for _, r := range s.recoveries {
		faults += len(r)
	}
	fmt.Fprintf(&b, `# The soak

Written by `+"`make soak`"+` (integration/soak_test.go): %s, seed %d. A source (18), a destination (15), one Kafka broker, capture and a
sink, all on one machine of two cores, under %d transactions a second (%d committed, %d rolled back, %d cut off by a death of the source; %d changes).
%d faults, one after the other, each mended after at most three seconds (frozen processes after five). Then the destination equals the source by every row; the
topics hold %d records in %d groups, each once, in order, with nothing that was rolled back; %d looks at the destination saw %d states, none
of them between two transactions.

Recovery is the time from the mending until the destination has everything that was committed by then, in seconds.

| fault | times | median | 90 %% | longest |
|---|---|---|---|---|
`, lasts, s.seed, soakLoad, stats.Committed, stats.RolledBack, stats.Lost, stats.Operations, faults, len(log.Records), len(log.Ends), seen.Looks, seen.States)
	for _, name := range slices.Sorted(maps.Keys(s.recoveries)) {
		r := slices.Sorted(slices.Values(s.recoveries[name]))
		fmt.Fprintf(&b, "| %s | %d | %.2f | %.2f | %.2f |\n", name, len(r), r[len(r)/2].Seconds(), r[len(r)*9/10].Seconds(), r[len(r)-1].Seconds())
	}
	b.WriteString(`
In the second half the processes live through everything. Medians of its first and its last fifth:

| process | figure | first | last |
|---|---|---|---|
`)
	for _, p := range []*lasting{s.capture, s.sink} {
		for _, f := range soakFigures {
			first, last := p.ends(f.name)
			fmt.Fprintf(&b, "| %s | %s | %.0f | %.0f |\n", p.command[0], f.title, first/f.unit, last/f.unit)
		}
	}
	return b.String()
}
