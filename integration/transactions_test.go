package integration

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/integration/check"
)

// With kafka.transactions a reader in read_committed never finds a part of a source transaction, though capture is killed in
// the middle of it, and what it left is skipped by readers, by the next capture and by the sink. SLUICE_SEED replays.
func TestKafkaTransactions(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	url := sharedRegistry(t)
	d := newDeployment(t, 18, load.TableNames(), func(text string) string {
		return strings.NewReplacer("kafka:\n", "kafka:\n  transactions: true\n", "registry: embedded", "registry: "+url).Replace(text)
	})
	d.committed, d.registry = true, url
	w := load.New(load.Config{DSN: d.source, Seed: seed, PerSecond: 400})
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	capture, sink := d.start("capture"), d.start("sink", "copy")
	d.caughtUp(60 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	sightings := watch(t, d)
	random := rand.New(rand.NewPCG(seed, 81))
	kills := 0
	for ctx.Err() == nil {
		// Often in the middle of something larger.
		d.exec(`DO $$ BEGIN FOR i IN 1..2000 LOOP INSERT INTO visits SELECT * FROM visits LIMIT 1; END LOOP; END $$`)
		pause(ctx, time.Duration(random.IntN(60))*time.Millisecond)
		capture.Kill()
		kills++
		pause(t.Context(), 300*time.Millisecond) // markers of what was committed last
		for _, v := range check.Complete(d.readTopics()) {
			t.Errorf("after kill %d: %s", kills, v)
		}
		capture = d.start("capture")
		pause(ctx, time.Duration(500+random.IntN(1000))*time.Millisecond)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	log := d.unharmed(sightings)
	d.committed = false
	raw := d.readTopics()
	t.Logf("%d kills; %d records for readers in read_committed, %d for others; %d ENDs", kills, len(log.Records), len(raw.Records), len(log.Ends))
	d.stop(sink)
	d.stop(capture)
}
