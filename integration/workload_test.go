package integration

import (
	"cmp"
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/check"
	"github.com/sluicecdc/sluice/internal/process"
)

// seedOf gives SLUICE_SEED, to replay a run, or a new seed.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("SLUICE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("replay with SLUICE_SEED=%d", seed)
	return seed
}

// A random workload of every kind of change arrives whole, in order and once, and a reader of the
// destination sees transaction boundaries only.
func TestRandomWorkload(t *testing.T) { randomWorkload(t, false) }

// The same, while capture and the sink are killed again and again.
func TestRandomWorkloadUnderKills(t *testing.T) { randomWorkload(t, true) }

// drawn gives one of the versions that tests run on, by the seed.
func drawn(seed uint64) int { return []int{15, 18}[seed%2] }

func randomWorkload(t *testing.T, kills bool) {
	t.Parallel()
	seed := seedOf(t)
	d := newDeployment(t, drawn(seed), load.TableNames(), nil)
	w := load.New(load.Config{DSN: d.source, Seed: seed, PerSecond: 400})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	processes := &pair{d: d, capture: d.start("capture"), sink: d.start("sink", "copy")}
	var states atomic.Int64
	sightings := watchEvery(t, d, 0, &states)

	lasts, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	working, end := context.WithCancel(t.Context())
	defer end()
	done := make(chan error, 1)
	go func() { done <- w.Run(working) }()
	if kills {
		processes.killUntil(lasts, rand.New(rand.NewPCG(seed, 99)))
	}
	<-lasts.Done()
	eventually(t, time.Minute, "the reader to see enough states of the destination to say something", func() bool { return states.Load() >= 10 })
	end()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Log(w.Stats())
	d.caughtUp(90 * time.Second)
	d.same(load.TableNames()...)
	if s := sightings(); s.Violation != nil {
		t.Errorf("a reader of the destination saw half a transaction: %s", s.Violation)
	}
	log := d.topicsHold()
	t.Logf("%d records, %d ENDs, %d kills of capture, %d of the sink", len(log.Records), len(log.Ends), processes.kills[0], processes.kills[1])
	d.stop(processes.sink)
	d.stop(processes.capture)
}

// unharmed wants all of a random workload at the destination, no half of a transaction ever seen there, and topics
// that hold. It gives what they hold.
func (d *deployment) unharmed(sightings func() check.Sightings) *check.Log {
	d.t.Helper()
	d.caughtUp(2 * time.Minute)
	d.same(load.TableNames()...)
	if s := sightings(); s.Violation != nil {
		d.t.Errorf("a reader of the destination saw half a transaction: %s", s.Violation)
	}
	return d.topicsHold()
}

// watch reads the destination all the time until the returned function is called.
func watch(t *testing.T, d *deployment) func() check.Sightings { return watchEvery(t, d, 0, nil) }

// watchEvery pauses between two looks, and counts the states that it sees, unless states is nil.
func watchEvery(t *testing.T, d *deployment, pause time.Duration, states *atomic.Int64) func() check.Sightings {
	ctx, cancel := context.WithCancel(t.Context())
	type outcome struct {
		seen check.Sightings
		err  error
	}
	result := make(chan outcome, 1)
	go func() {
		seen, err := check.Invariant{DSN: d.destination, Query: load.SumQuery, Want: load.Sum, Sink: "copy", Every: pause, States: states}.Watch(ctx)
		result <- outcome{seen, err}
	}()
	return func() check.Sightings {
		cancel()
		o := <-result
		if o.err != nil {
			t.Error(o.err)
		}
		t.Logf("%d looks at the destination, %d states", o.seen.Looks, o.seen.States)
		return o.seen
	}
}

// pair is capture and its sink, as processes of their own.
type pair struct {
	d             *deployment
	s             *deployment // of the sink, where it has a configuration of its own
	capture, sink *process.Process
	kills         [2]int
}

// killUntil kills one of the two with kill -9 and starts it again, at random moments, until ctx ends.
func (p *pair) killUntil(ctx context.Context, random *rand.Rand) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(200+random.IntN(1500)) * time.Millisecond):
		}
		if random.IntN(2) == 0 {
			p.kills[0]++
			p.capture.Kill()
			p.capture = p.d.start("capture")
		} else {
			p.kills[1]++
			p.sink.Kill()
			p.sink = cmp.Or(p.s, p.d).start("sink", "copy")
		}
	}
}
