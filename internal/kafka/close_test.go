package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"
)

// TestNothingIsLeft: after Close no goroutine is left, whatever was under way.
func TestNothingIsLeft(t *testing.T) {
	addr := fake(t, kfake.SeedTopics(3, "t"))
	before := goleak.IgnoreCurrent()
	c, err := Open(timeout(t, time.Minute), Config{Brokers: Brokers{addr}}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	p, parts := fenced(t, c, ProducerConfig{TransactionalID: "t"}, "t")
	ctx := timeout(t, time.Minute)
	appendRange(t, ctx, p, parts, 0, 10_000)
	p.Flush()
	r, err := c.NewReader(ctx, ReaderConfig{Offsets: map[TopicPartition]int64{{"t", 0}: FirstOffset, {"t", 1}: EndOffset}})
	if err != nil {
		t.Fatal(err)
	}
	read(t, ctx, r.Feed(TopicPartition{"t", 0}), 5)
	p.Close()
	r.Close()
	// What had been fetched may still come; then there is an error and no wait for more.
	for feed := r.Feed(TopicPartition{"t", 1}); ; {
		if _, err := feed.Next(ctx); err != nil {
			break
		}
	}
	if ctx.Err() != nil {
		t.Error("a closed reader makes its caller wait")
	}
	if err := p.Append(ctx, parts[0], 1, Record{}); err == nil {
		t.Error("a closed producer takes records")
	}
	c.Close()
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).write"))
}
