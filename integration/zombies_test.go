package integration

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/process"
)

// twins are two processes of the same duty on two machines.
type twins struct {
	places  [2]*deployment
	command []string
	running [2]*process.Process
	stops   int
	deaths  int
}

func newTwins(a, b *deployment, command ...string) *twins {
	w := &twins{places: [2]*deployment{a, b}, command: command}
	for i, d := range w.places {
		w.running[i] = d.start(command...)
	}
	return w
}

// freeze stops one of the two with SIGSTOP for as long, and longer than any server waits for it, and lets it go on. One
// that found out that another has taken over may have ended: it is started again.
func (w *twins) freeze(ctx context.Context, i int, lasts time.Duration, meanwhile func()) {
	d := w.places[i]
	d.t.Helper()
	w.stops++
	if err := w.running[i].Signal(syscall.SIGSTOP); err != nil {
		d.t.Errorf("cannot stop a process: %v", err)
	}
	meanwhile()
	pause(ctx, lasts)
	if err := w.running[i].Signal(syscall.SIGCONT); err != nil {
		d.t.Errorf("cannot let a process go on: %v", err)
	}
	select {
	case <-w.running[i].Done():
		w.deaths++
		w.running[i] = d.start(w.command...)
	case <-time.After(500 * time.Millisecond):
	}
}

// end kills both: one that was fenced a moment ago would not exit with 0.
func (w *twins) end() {
	for _, p := range w.running {
		p.Kill()
	}
}

// Of two captures and two sinks, the one that works is frozen for longer than every timeout; the other takes over, and
// the first wakes up in the middle of what it did. What it still sends changes nothing. SLUICE_SEED replays; make faults
// runs it.
func TestZombies(t *testing.T) {
	if os.Getenv("SLUICE_FAULTS") == "" {
		t.Skip("frozen processes take long: make faults runs it")
	}
	seed := seedOf(t)
	source := harness.Postgres(t, harness.Options{Version: 18, Settings: map[string]string{"wal_sender_timeout": "2s"}})
	url := sharedRegistry(t)
	d := newDeployment(t, 18, load.TableNames(), func(text string) string {
		return strings.Replace(text, "registry: embedded", "registry: "+url, 1)
	})
	d.registry, d.source = url, source.NewDatabase()
	w := load.New(load.Config{DSN: d.source, Seed: seed, PerSecond: 400})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := d.twin()
	captures, sinks := newTwins(d, other, "capture"), newTwins(d, other, "sink", "copy")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	sightings := watch(t, d)
	random := rand.New(rand.NewPCG(seed, 78))
	for ctx.Err() == nil {
		nap := time.Duration(2500+random.IntN(2500)) * time.Millisecond // beyond wal_sender_timeout
		if random.IntN(2) == 0 {
			captures.freeze(ctx, random.IntN(2), nap, func() {})
			continue
		}
		sinks.freeze(ctx, random.IntN(2), nap, func() {
			// What keepalives of TCP would do after some minutes: the server gives the session of the frozen one up.
			execAt(t, d.destination, "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())")
		})
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	log := d.unharmed(sightings)
	t.Logf("captures frozen %d times, sinks %d times; %d and %d ended for it; %v; %d records, %d ENDs", captures.stops, sinks.stops, captures.deaths, sinks.deaths, w.Stats(), len(log.Records), len(log.Ends))
	captures.end()
	sinks.end()
}
