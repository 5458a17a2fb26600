package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
)

func TestEnsureTopics(t *testing.T) {
	c := shared(t)
	ctx := timeout(t, time.Minute)
	c.cfg.Retention = 24 * time.Hour
	table, state, ends := harness.Unique("table"), harness.Unique("state"), harness.Unique("ends")
	want := []Topic{{Name: table}, {Name: state, Partitions: 1, Compacted: true}, {Name: ends, Partitions: 1, Outlives: true}}
	counts, err := c.EnsureTopics(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	if counts[table] != 3 || counts[state] != 1 || counts[ends] != 1 {
		t.Errorf("partitions: %v", counts)
	}
	settings, err := c.topicSettings(ctx, []string{table, state})
	if err != nil {
		t.Fatal(err)
	}
	if settings[table] != (topicSettings{maxBytes: 16 << 20, policy: "delete"}) || settings[state].policy != "compact" {
		t.Errorf("settings: %v", settings)
	}
	if a, b := c.retentionMillis(want[0]), c.retentionMillis(want[2]); a != 86_400_000 || b != 9*86_400_000 {
		t.Errorf("retention %d and %d", a, b)
	}
	// what exists keeps its partition count
	want[0].Partitions = 7
	if counts, err = c.EnsureTopics(ctx, want); err != nil || counts[table] != 3 {
		t.Errorf("partitions: %v, %v", counts, err)
	}
	want[1].Compacted = false
	_, err = c.EnsureTopics(ctx, want)
	if err == nil || !strings.Contains(err.Error(), state+" has cleanup.policy=compact where delete is needed") || !strings.Contains(err.Error(), "kafka-configs.sh") {
		t.Errorf("got %v", err)
	}
	if n, err := c.Partitions(ctx, "nowhere"); n != 0 || err != nil {
		t.Errorf("a topic that does not exist has %d partitions: %v", n, err)
	}
}

// TestRenew uses the transactional id while records are under way, and finds out about a new owner.
func TestRenew(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 1)
	p, parts := fenced(t, c, ProducerConfig{TransactionalID: name}, name)
	ctx := timeout(t, time.Minute)
	for i := range 5 {
		appendRange(t, ctx, p, parts, i*1000, (i+1)*1000)
		p.Flush()
		if err := p.renew(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	wantAll(t, c, name, 1, 5000)
	fenced(t, c, ProducerConfig{TransactionalID: name}, name)
	if err := p.renew(ctx); err == nil || p.Err() == nil || !strings.Contains(p.Err().Error(), "another process") {
		t.Errorf("got %v, %v", err, p.Err())
	}
}
