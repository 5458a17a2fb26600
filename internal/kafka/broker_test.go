package kafka

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// testLog writes to the test's log.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// shared gives a client to the test binary's broker.
func shared(t testing.TB) *Client { return open(t, harness.SharedKafka(t).Addrs()...) }

// open gives a client to the brokers at addrs.
func open(t testing.TB, addrs ...string) *Client {
	t.Helper()
	c, err := Open(timeout(t, time.Minute), Config{Brokers: addrs}, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func timeout(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// topic creates a topic with a name of its own.
func topic(t testing.TB, c *Client, partitions int) string {
	t.Helper()
	name := harness.Unique("t")
	n, err := c.EnsureTopics(timeout(t, time.Minute), []Topic{{Name: name, Partitions: partitions}})
	if err != nil || n[name] != partitions {
		t.Fatalf("%d partitions: %v", n[name], err)
	}
	return name
}

// fenced gives a producer and the partitions of one topic.
func fenced(t testing.TB, c *Client, cfg ProducerConfig, topic string) (*Producer, []*Partition) {
	t.Helper()
	p, err := c.NewProducer(timeout(t, time.Minute), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	handles, err := p.Fence(timeout(t, time.Minute), []string{topic})
	if err != nil {
		t.Fatal(err)
	}
	return p, handles[topic]
}

// values reads all values of a topic, by partition.
func values(t testing.TB, c *Client, topic string) map[int32][]string {
	t.Helper()
	out := map[int32][]string{}
	err := c.ReadAll(timeout(t, time.Minute), topic, func(p int32, r *Record) error {
		out[p] = append(out[p], string(bytes.Clone(r.Value)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// read gives a feed's next n values.
func read(t testing.TB, ctx context.Context, f *Feed, n int) []string {
	t.Helper()
	var out []string
	for range n {
		r, err := f.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(r.Value))
	}
	return out
}
