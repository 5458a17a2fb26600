package kafka

import (
	"context"
	"testing"
	"time"
)

// BenchmarkProduce sends records of 200 bytes to a real broker in three partitions, acks=all.
func BenchmarkProduce(b *testing.B) {
	c := shared(b)
	name := topic(b, c, 3)
	p, parts := fenced(b, c, ProducerConfig{TransactionalID: name}, name)
	ctx := context.Background()
	value := make([]byte, 190)
	b.SetBytes(200)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := p.Append(ctx, parts[i%3], uint64(i), Record{TimeMillis: 1_700_000_000_000, Value: value}); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Wait(ctx); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLatency is the time from one record to its acknowledgement, one at a time.
func BenchmarkLatency(b *testing.B) {
	c := shared(b)
	name := topic(b, c, 1)
	p, parts := fenced(b, c, ProducerConfig{TransactionalID: name}, name)
	ctx := context.Background()
	for b.Loop() {
		if err := p.Append(ctx, parts[0], 1, Record{TimeMillis: 1_700_000_000_000, Value: []byte("x")}); err != nil {
			b.Fatal(err)
		}
		if err := p.Wait(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFeed reads records of 200 bytes from a real broker, over and over.
func BenchmarkFeed(b *testing.B) {
	c := shared(b)
	name := topic(b, c, 1)
	p, parts := fenced(b, c, ProducerConfig{TransactionalID: name}, name)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	const n = 500_000
	value := make([]byte, 190)
	for i := range n {
		if err := p.Append(ctx, parts[0], uint64(i), Record{TimeMillis: 1_700_000_000_000, Value: value}); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Wait(ctx); err != nil {
		b.Fatal(err)
	}
	tp := TopicPartition{name, 0}
	var r *Reader
	b.SetBytes(200)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%n == 0 {
			if r != nil {
				r.Close()
			}
			var err error
			if r, err = c.NewReader(ctx, ReaderConfig{Offsets: map[TopicPartition]int64{tp: FirstOffset}}); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := r.Feed(tp).Next(ctx); err != nil {
			b.Fatal(err)
		}
	}
	r.Close()
}
