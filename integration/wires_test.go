package integration

import (
	"context"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/fault"
	"github.com/sluicecdc/sluice/integration/harness"
)

// wires are the proxies on every way that capture and the sink talk over.
type wires struct {
	t   *testing.T
	all map[string]*fault.Proxy
}

// wireNames are the ways.
var wireNames = []string{"source", "kafka of capture", "registry", "kafka of the sink", "destination"}

func newWires(t *testing.T) *wires {
	t.Helper()
	w := &wires{t: t, all: map[string]*fault.Proxy{}}
	for _, name := range wireNames {
		p, err := fault.Listen()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		w.all[name] = p
	}
	return w
}

// kafka starts a broker that capture and the sink reach over wires of their own.
func (w *wires) kafka() *harness.Cluster {
	w.t.Helper()
	kafka := harness.Kafka(w.t, harness.KafkaOptions{Listeners: map[string]harness.Listener{
		"CAPTURE": {Address: w.all["kafka of capture"].Addr()}, "SINK": {Address: w.all["kafka of the sink"].Addr()}}})
	w.all["kafka of capture"].To(kafka.Listens("CAPTURE"))
	w.all["kafka of the sink"].To(kafka.Listens("SINK"))
	return kafka
}

// between gives the deployments of capture and of the sink that talk over the wires, and turns direct, whose servers
// they lead to, into one that does not.
func (w *wires) between(direct *deployment, kafka *harness.Cluster) (capture, sink *deployment) {
	w.t.Helper()
	registry := sharedRegistry(w.t)
	direct.edit("registry: embedded", "registry: "+w.through("registry", registry))
	direct.edit(strings.Join(direct.brokers, ", "), w.all["kafka of capture"].Addr())
	d := *direct
	direct.brokers, direct.registry = kafka.Addrs(), registry
	d.source, d.destination = w.through("source", direct.source), w.through("destination", direct.destination)
	s := d.twin()
	s.edit(w.all["kafka of capture"].Addr(), w.all["kafka of the sink"].Addr())
	return &d, s
}

// through gives a URL whose host is a proxy's, and has the proxy lead to the host that it names.
func (w *wires) through(name, address string) string {
	w.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.all[name].To(u.Host)
	u.Host = w.all[name].Addr()
	return u.String()
}

// breakUntil breaks one wire after the other until ctx ends, and lets everything pass then. In the middle of some faults
// it kills a process. It gives how often each fault was injected.
func (w *wires) breakUntil(ctx context.Context, random *rand.Rand, kill func()) map[fault.Mode]int {
	w.t.Helper()
	faults := map[fault.Mode]int{}
	for ctx.Err() == nil {
		p := w.all[wireNames[random.IntN(len(wireNames))]]
		m := fault.Modes[random.IntN(len(fault.Modes))]
		w.become(p, m)
		faults[m]++
		lasts := time.Duration(25+random.IntN(750)) * time.Millisecond
		pause(ctx, lasts)
		if random.IntN(3) == 0 {
			kill()
			faults["kill -9"]++
		}
		pause(ctx, lasts)
		w.become(p, fault.Pass)
		pause(ctx, time.Duration(random.IntN(1000))*time.Millisecond)
	}
	return faults
}

func (w *wires) become(p *fault.Proxy, m fault.Mode) {
	w.t.Helper()
	if err := p.Become(m); err != nil {
		w.t.Error(err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// Every connection of capture and sink is cut, reset, half closed, stalled, slowed, made to lose one direction and
// refused, at random, among writes to many tables, and processes are killed in the middle of it. No transaction is lost, doubled or seen half. SLUICE_SEED replays;
// SLUICE_FAULTS, set, makes it three minutes.
func TestFaultsOnEveryWire(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	lasts := 10 * time.Second
	if os.Getenv("SLUICE_FAULTS") != "" {
		lasts = 3 * time.Minute
	}
	w := newWires(t)
	kafka := w.kafka()
	direct := newDeployment(t, 18, load.TableNames(), nil)
	d, s := w.between(direct, kafka)

	work := load.New(load.Config{DSN: direct.source, Seed: seed, PerSecond: 400})
	if err := work.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	capture, sink := d.start("capture"), s.start("sink", "copy")
	random := rand.New(rand.NewPCG(seed, 77))
	kill := func() {
		if random.IntN(3) == 0 {
			sink.Kill()
			sink = s.start("sink", "copy")
			return
		}
		capture.Kill()
		capture = d.start("capture")
	}
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- work.Run(ctx) }()
	sightings := watch(t, direct)
	faults := w.breakUntil(ctx, random, kill)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// The destination gets a table with its first record, and the workload may have emptied this one before capture could read.
	direct.exec("insert into visits values (1, '/end', 1, now())")
	log := direct.unharmed(sightings)
	t.Logf("faults %v; %v; %d records, %d ENDs", faults, work.Stats(), len(log.Records), len(log.Ends))
	d.stop(capture)
	s.stop(sink)
}
