package kafka

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestCompression writes packed batches to a real broker and reads them with our reader and with one of another make.
func TestCompression(t *testing.T) {
	const n = 5000
	value := func(i int) []byte {
		return fmt.Appendf(nil, "order %d of a customer who orders the same again and again", i)
	}
	for _, kind := range []Compression{CompressNone, CompressLZ4, CompressZstd} {
		t.Run(string(kind), func(t *testing.T) {
			c := shared(t)
			c.cfg.Compression = kind
			name := topic(t, c, 1)
			ctx := timeout(t, time.Minute)
			p, parts := fenced(t, c, ProducerConfig{TransactionalID: name}, name)
			for i := range n {
				if err := p.Append(ctx, parts[0], uint64(i), Record{TimeMillis: 1_700_000_000_000, Value: value(i)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Wait(ctx); err != nil {
				t.Fatal(err)
			}
			next := 0
			if err := c.ReadAll(ctx, name, func(_ int32, r *Record) error {
				if !bytes.Equal(r.Value, value(next)) {
					return fmt.Errorf("record %d is %q", next, r.Value)
				}
				next++
				return nil
			}); err != nil || next != n {
				t.Errorf("our reader gave %d records: %v", next, err)
			}
			wantByKgo(t, ctx, c, name, n, value)
		})
	}
}

func wantByKgo(t *testing.T, ctx context.Context, c *Client, topic string, n int, value func(int) []byte) {
	t.Helper()
	other, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.addresses()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for i := 0; i < n; {
		fetches := other.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", i, err)
		}
		for r := range fetches.RecordsAll() {
			if !bytes.Equal(r.Value, value(i)) {
				t.Fatalf("record %d is %q", i, r.Value)
			}
			i++
		}
	}
}
