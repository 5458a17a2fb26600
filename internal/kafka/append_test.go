package kafka

import (
	"context"
	"errors"
	"testing"
	"time"
)

// loose gives a producer without broker: what is appended is acknowledged by acknowledgeAll.
func loose(partitions int) *Producer {
	p := &Producer{c: &Client{}, cfg: ProducerConfig{BufferBytes: defaultBufferBytes, BatchBytes: defaultBatchBytes}, log: quiet(),
		byTopic: map[string][]*Partition{}, links: map[int32]*link{}, stale: make(chan struct{}, 1)}
	p.changed.L = &p.mu
	p.buffers.init(p.cfg.BatchBytes)
	p.ctx, p.end = context.WithCancel(context.Background())
	for i := range partitions {
		p.parts = append(p.parts, &Partition{topic: "t", id: int32(i), order: i, limit: 1 << 20, full: defaultBatchBytes})
	}
	return p
}

// send takes what a link to broker 0 would take.
func (p *Producer) send() *request {
	r := &request{}
	p.collect(&link{p: p, flush: true}, r)
	return r
}

// BenchmarkAppend appends records of 200 bytes; the acknowledgements, with the sums that a sender makes,
// are part of it.
func BenchmarkAppend(b *testing.B) {
	p := loose(3)
	ctx := context.Background()
	key, value := make([]byte, 12), make([]byte, 180)
	b.ReportAllocs()
	b.SetBytes(200)
	for i := 0; b.Loop(); i++ {
		if p.used > defaultBufferBytes/2 {
			acknowledgeAll(p)
		}
		if err := p.Append(ctx, p.parts[i%3], uint64(i), Record{TimeMillis: 1_700_000_000_000, Key: key, Value: value}); err != nil {
			b.Fatal(err)
		}
	}
}

func acknowledgeAll(p *Producer) {
	r := &request{}
	for l := (&link{p: p, flush: true}); p.collect(l, r); {
		for i := range r.items {
			r.items[i].seen = true
			r.items[i].b.finish(1, 1, 0, nil)
		}
		p.settle(r)
		r.reset()
		l.flush = true
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	p := loose(1)
	ctx := context.Background()
	value := make([]byte, 100)
	append := func() { p.Append(ctx, p.parts[0], 1, Record{TimeMillis: 5, Value: value}, Record{TimeMillis: 5}) }
	append()
	if n := testing.AllocsPerRun(100, append); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOneBatchUntilTheFirstAcknowledgement(t *testing.T) {
	p := loose(1)
	to := p.parts[0]
	add := func(n int) {
		for range n {
			if err := p.Append(context.Background(), to, 1, Record{Value: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			p.mu.Lock()
			to.seal()
			p.mu.Unlock()
		}
	}
	answer := func(r *request, code Code) {
		for i := range r.items {
			r.items[i].seen, r.items[i].code = true, code
		}
		p.settle(r)
	}
	add(6)
	first := p.send()
	if len(first.items) != 1 || len(p.send().items) != 0 {
		t.Fatal("a second batch went out before the first was acknowledged")
	}
	answer(first, 0)
	one, two := p.send(), p.send()
	if len(one.items) != 1 || len(two.items) != 1 || len(p.send().items) != 0 {
		t.Fatal("not two batches under way after an acknowledgement")
	}
	// the first of two fails, the second comes out of order: both go again, alone and in order
	answer(one, 6)
	answer(two, codeOutOfOrderSequence)
	if len(p.send().items) != 0 {
		t.Fatal("sent before the leader was asked for")
	}
	p.mu.Lock()
	to.stale = false
	p.mu.Unlock()
	again := p.send()
	if len(again.items) != 1 || again.items[0].b.sequence != 1 || len(p.send().items) != 0 {
		t.Fatal("not the failed batch alone")
	}
	answer(again, codeDuplicateSequence)
	if next := p.send(); next.items[0].b.sequence != 2 {
		t.Fatalf("sequence %d after 1", next.items[0].b.sequence)
	}
	to.lastAck = time.Now().Add(-warmth)
	if len(p.send().items) != 0 {
		t.Fatal("pipelined although the last acknowledgement is old")
	}
	if p.Err() != nil {
		t.Fatal(p.Err())
	}
}

func TestAnUnexpectedHoleEndsTheProducer(t *testing.T) {
	p := loose(1)
	p.Append(context.Background(), p.parts[0], 1, Record{Value: []byte("x")})
	r := p.send()
	r.items[0].seen, r.items[0].code = true, codeOutOfOrderSequence
	p.settle(r)
	var code Code
	if err := p.Append(context.Background(), p.parts[0], 2, Record{}); !errors.As(err, &code) || code != codeOutOfOrderSequence {
		t.Fatalf("got %v", err)
	}
}

func TestAppendBlocksAtTheBudget(t *testing.T) {
	p := loose(2)
	p.cfg.BufferBytes = 64 << 10
	value := make([]byte, 1000)
	blocked := timeout(t, time.Second)
	var err error
	n := 0
	for ; err == nil; n++ {
		err = p.Append(blocked, p.parts[n%2], uint64(n), Record{Value: value})
	}
	if !errors.Is(err, context.DeadlineExceeded) || p.used > p.cfg.BufferBytes || n < 30 {
		t.Fatalf("after %d records and %d bytes: %v", n, p.used, err)
	}
	if tag, ok := p.OldestTag(); !ok || tag != 0 {
		t.Errorf("oldest tag %d, %v", tag, ok)
	}
	done := make(chan error)
	go func() { done <- p.Append(timeout(t, time.Minute), p.parts[0], uint64(n), Record{Value: value}) }()
	acknowledgeAll(p)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
