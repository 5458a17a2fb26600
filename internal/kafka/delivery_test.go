package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
)

func TestAppendArrivesInOrder(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 3)
	p, to := fenced(t, c, ProducerConfig{TransactionalID: name}, name)
	ctx := timeout(t, time.Minute)
	const n = 30_000
	appendRange(t, ctx, p, to, 0, n)
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.OldestTag(); ok {
		t.Error("something is still unacknowledged after Wait")
	}
	wantAll(t, c, name, 3, n)
	tails, err := c.Tail(ctx, name, 2)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := string(tails[0][0].Value), string(tails[0][1].Value); a != number(n-6) || b != number(n-3) {
		t.Errorf("the last records of partition 0 are %q and %q", a, b)
	}
	r, err := c.NewReader(ctx, ReaderConfig{BufferBytes: 100_000, Offsets: map[TopicPartition]int64{
		{name, 0}: FirstOffset, {name, 1}: FirstOffset, {name, 2}: FirstOffset}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for part := range 3 {
		wantSequence(t, read(t, ctx, r.Feed(TopicPartition{name, int32(part)}), n/3), part, n, 3)
	}
}

// number is the value of record i in these tests.
func number(i int) string { return fmt.Sprintf("%08d", i) }

// appendRange appends records from..to-1, round robin.
func appendRange(t testing.TB, ctx context.Context, p *Producer, parts []*Partition, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		r := Record{TimeMillis: time.Now().UnixMilli(), Key: []byte("k"), Value: []byte(number(i))}
		if err := p.Append(ctx, parts[i%len(parts)], uint64(i), r); err != nil {
			t.Fatal(err)
		}
	}
}

// wantAll checks that a topic holds 0..n-1, dealt over its partitions, in order.
func wantAll(t testing.TB, c *Client, topic string, partitions, n int) {
	t.Helper()
	got := values(t, c, topic)
	for part := range partitions {
		wantSequence(t, got[int32(part)], part, n, partitions)
	}
}

func wantSequence(t testing.TB, got []string, from, end, step int) {
	t.Helper()
	i := 0
	for v := from; v < end; v += step {
		if i >= len(got) || got[i] != number(v) {
			t.Fatalf("record %d of %d: got %q, want %s", i, len(got), got[min(i, max(len(got)-1, 0)):min(i+1, len(got))], number(v))
		}
		i++
	}
	if i != len(got) {
		t.Fatalf("%d records where %d were appended", len(got), i)
	}
}

func TestAnEarlierOwnerIsRefusedOnEveryPartition(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 5)
	ctx := timeout(t, time.Minute)
	for part := range 5 {
		old, oldParts := fenced(t, c, ProducerConfig{TransactionalID: name}, name)
		appendRange(t, ctx, old, oldParts[part:part+1], 0, 1)
		if err := old.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		young, parts := fenced(t, c, ProducerConfig{TransactionalID: name}, name)
		appendRange(t, ctx, old, oldParts[part:part+1], 1, 2)
		err := old.Wait(ctx)
		var code Code
		if !errors.As(err, &code) || code != codeFencedEpoch || !strings.Contains(err.Error(), "only one may run") {
			t.Fatalf("partition %d: the old owner got %v", part, err)
		}
		appendRange(t, ctx, young, parts[part:part+1], 2, 3)
		if err := young.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		young.Close()
	}
	for part, got := range values(t, c, name) {
		if strings.Join(got, " ") != number(0)+" "+number(2) {
			t.Errorf("partition %d holds %v", part, got)
		}
	}
}

func TestTopicsFencedLater(t *testing.T) {
	c := shared(t)
	first, second := topic(t, c, 2), topic(t, c, 3)
	ctx := timeout(t, time.Minute)
	p, parts := fenced(t, c, ProducerConfig{TransactionalID: first}, first)
	appendRange(t, ctx, p, parts, 0, 100)
	handles, err := p.Fence(ctx, []string{first, second})
	if err != nil {
		t.Fatal(err)
	}
	if len(handles[first]) != 2 || handles[first][0] != parts[0] || len(handles[second]) != 3 {
		t.Fatalf("handles: %v", handles)
	}
	appendRange(t, ctx, p, handles[second], 0, 300)
	appendRange(t, ctx, p, parts, 100, 200)
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	wantAll(t, c, first, 2, 200)
	wantAll(t, c, second, 3, 300)
}

func TestRecordTooLarge(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 1)
	p, parts := fenced(t, c, ProducerConfig{TransactionalID: name}, name)
	ctx := timeout(t, time.Minute)
	limit := c.Config().MaxMessageBytes
	err := p.Append(ctx, parts[0], 1, Record{Value: make([]byte, limit)})
	var large *RecordTooLargeError
	if !errors.As(err, &large) || large.Limit != limit || large.Topic != name || large.Size <= limit {
		t.Fatalf("got %v", err)
	}
	// the largest that fits must pass
	if err := p.Append(ctx, parts[0], 1, Record{Value: make([]byte, limit-100)}); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestCutConnections: whatever is cut where, every record stands in its partition once and in order, wrapped in Kafka
// transactions or not.
func TestCutConnections(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := shared(t)
	for run := range 12 {
		rng := rand.New(rand.NewPCG(seed, uint64(run)))
		s := &scissors{rng: rand.New(rand.NewPCG(seed, uint64(run))), least: 200, most: 1 << (11 + run%6)}
		name := topic(t, c, 2)
		p, parts := fenced(t, cuttingClient(t, c, s), ProducerConfig{TransactionalID: name, BufferBytes: 200_000, BatchBytes: 8 << 10, Transactions: run%2 == 1}, name)
		s.arm()
		ctx := timeout(t, 2*time.Minute)
		n := 200 + rng.IntN(3000)
		for i := 0; i < n; i += 100 {
			appendRange(t, ctx, p, parts, i, min(i+100, n))
			if rng.IntN(2) == 0 {
				p.Commit()
				p.Flush()
			}
		}
		if err := p.Wait(ctx); err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		wantAll(t, c, name, 2, n)
		p.Close()
		wantSequence(t, readCut(t, c, rng, name, n/2), 1, n, 2)
		t.Logf("run %d: %d records, %d cuts", run, n, s.cuts)
	}
}

// TestCutQuestions: what is asked before the first record goes, and before the first is read, is asked again when the
// connection is cut.
func TestCutQuestions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	whole := shared(t)
	for run := range 30 {
		s := &scissors{rng: rand.New(rand.NewPCG(seed, uint64(run))), least: 50, most: 4000}
		c := cuttingClient(t, whole, s)
		ctx := timeout(t, time.Minute)
		name := harness.Unique("questions")
		if _, err := c.EnsureTopics(ctx, []Topic{{Name: name, Partitions: 2}}); err != nil {
			t.Fatal(err)
		}
		p, err := c.NewProducer(ctx, ProducerConfig{TransactionalID: name})
		if err != nil {
			t.Fatal(err)
		}
		if run%2 == 0 {
			s.arm()
		}
		if _, err := p.Fence(ctx, []string{name}); err != nil {
			t.Error(err)
		}
		s.arm()
		if tails, err := c.Tail(ctx, name, 1); err != nil || len(tails) != 2 {
			t.Errorf("%d partitions, %v", len(tails), err)
		}
		p.Close()
	}
}

// readCut reads partition 1 over connections that are cut.
func readCut(t *testing.T, c *Client, rng *rand.Rand, topic string, n int) []string {
	t.Helper()
	s := &scissors{rng: rng, least: 1000, most: 64 << 10}
	ctx := timeout(t, 2*time.Minute)
	tp := TopicPartition{topic, 1}
	r, err := cuttingClient(t, c, s).NewReader(ctx, ReaderConfig{BufferBytes: 32 << 10, Offsets: map[TopicPartition]int64{tp: FirstOffset}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.arm()
	return read(t, ctx, r.Feed(tp), n)
}

func TestBrokersDieAndComeBack(t *testing.T) {
	cluster := harness.Kafka(t, harness.KafkaOptions{Brokers: 3})
	c := open(t, cluster.Addrs()...)
	name := topic(t, c, 6)
	p, parts := fenced(t, c, ProducerConfig{TransactionalID: name}, name)
	ctx := timeout(t, 5*time.Minute)
	r, err := c.NewReader(ctx, ReaderConfig{Offsets: map[TopicPartition]int64{{name, 0}: FirstOffset}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	appended := make(chan int)
	stop := make(chan struct{})
	go func() {
		n := 0
		defer func() { appended <- n }()
		for ; ; n += 100 {
			select {
			case <-stop:
				return
			default:
			}
			for i := n; i < n+100; i++ {
				if err := p.Append(ctx, parts[i%6], uint64(i), Record{TimeMillis: time.Now().UnixMilli(), Value: []byte(number(i))}); err != nil {
					t.Error(err)
					return
				}
			}
			p.Flush()
			if n%10_000 == 0 {
				if err := p.Wait(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	for i := range 3 {
		cluster.Kill9(i)
		cluster.StartBroker(i)
	}
	close(stop)
	n := <-appended
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records", n)
	wantAll(t, c, name, 6, n)
	wantSequence(t, read(t, ctx, r.Feed(TopicPartition{name, 0}), (n+5)/6), 0, n, 6)
}
