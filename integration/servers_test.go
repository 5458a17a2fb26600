package integration

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/localpg"
)

// The source, the destination and one of three brokers after the other are killed with kill -9 or stopped, among
// writes, and come back. What was acknowledged to the application, and nothing else, is at the destination.
// SLUICE_SEED replays.
func TestServersDie(t *testing.T) {
	if os.Getenv("SLUICE_FAULTS") == "" {
		t.Skip("a cluster of three brokers takes long to start and to come back: make faults runs it")
	}
	seed := seedOf(t)
	source, destination := harness.Postgres(t, harness.Options{Version: 15}), harness.Postgres(t, harness.Options{Version: 18})
	kafka := harness.Kafka(t, harness.KafkaOptions{Brokers: 3})
	d := newDeployment(t, 15, load.TableNames(), nil)
	d.edit(strings.Join(d.brokers, ", "), strings.Join(kafka.Addrs(), ", "))
	d.brokers, d.source, d.destination = kafka.Addrs(), source.NewDatabase(), destination.NewDatabase()
	w := load.New(load.Config{DSN: d.source, Seed: seed, PerSecond: 300})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	random := rand.New(rand.NewPCG(seed, 79))
	var deaths [3]int
	for ctx.Err() == nil {
		pause(ctx, time.Duration(500+random.IntN(1500))*time.Millisecond)
		which := random.IntN(3)
		deaths[which]++
		away := time.Duration(random.IntN(2000)) * time.Millisecond
		switch which {
		case 0:
			die(ctx, source, random, away)
		case 1:
			die(ctx, destination, random, away)
		case 2:
			i := random.IntN(3)
			kafka.Kill9(i)
			pause(ctx, away)
			kafka.StartBroker(i)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	d.caughtUp(2 * time.Minute)
	d.same(load.TableNames()...)
	log := d.topicsHold()
	t.Logf("deaths of source, destination and brokers: %v; %v; %d records, %d ENDs", deaths, w.Stats(), len(log.Records), len(log.Ends))
	d.stop(capture)
	d.stop(sink)
}

// die ends a server by kill -9 or by an immediate stop, and starts it again.
func die(ctx context.Context, pg *harness.PG, random *rand.Rand, away time.Duration) {
	if random.IntN(2) == 0 {
		pg.Kill9()
	} else {
		pg.Stop(localpg.Immediate)
	}
	pause(ctx, away)
	pg.Start()
}
