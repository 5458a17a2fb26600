package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicecdc/sluice/integration/harness"
)

// foreign gives another client's producer to the shared broker.
func foreign(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	k, err := kgo.NewClient(append(opts, kgo.SeedBrokers(harness.SharedKafka(t).Addrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func produceForeign(t *testing.T, k *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := k.ProduceSync(timeout(t, time.Minute), &kgo.Record{Topic: topic, Key: []byte("key"), Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReaderPassesTransactions: neither markers nor aborted records are seen, by any way of reading.
func TestReaderPassesTransactions(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 1)
	tx, plain := foreign(t, kgo.TransactionalID(name)), foreign(t)
	var want []string
	for i := range 12 {
		commit := i%3 != 1
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for j := range 3 {
			v := fmt.Sprintf("%d.%d", i, j)
			produceForeign(t, tx, name, v)
			produceForeign(t, plain, name, v+" beside")
			if commit {
				want = append(want, v)
			}
			want = append(want, v+" beside")
		}
		if err := tx.EndTransaction(timeout(t, time.Minute), kgo.TransactionEndTry(commit)); err != nil {
			t.Fatal(err)
		}
	}
	ctx := timeout(t, time.Minute)
	r, err := c.NewReader(ctx, ReaderConfig{Offsets: map[TopicPartition]int64{{name, 0}: FirstOffset}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	feed := r.Feed(TopicPartition{name, 0})
	sameValues(t, "Feed", read(t, ctx, feed, len(want)), want)
	awaitEnd(t, feed) // the broker answers EndTransaction before the last marker stands in the partition
	sameValues(t, "ReadAll", values(t, c, name)[0], want)
	tails, err := c.Tail(ctx, name, 20)
	if err != nil {
		t.Fatal(err)
	}
	var tail []string
	for _, r := range tails[0] {
		tail = append(tail, string(r.Value))
	}
	sameValues(t, "Tail", tail, want[len(want)-20:])
}

// awaitEnd polls until the feed has passed what follows the last record.
func awaitEnd(t *testing.T, f *Feed) {
	t.Helper()
	ctx := timeout(t, 10*time.Second)
	for f.Offset() < f.HighWatermark() {
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		r, err := f.Next(short)
		cancel()
		if r != nil || err != nil && !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			t.Fatalf("at offset %d of %d: %v, %v", f.Offset(), f.HighWatermark(), r, err)
		}
	}
}

func sameValues(t *testing.T, who string, got, want []string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%s gave\n%v, want\n%v", who, got, want)
	}
}

func TestReaderUnpacks(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 1)
	var want []string
	for i, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		k := foreign(t, kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(50*time.Second))
		for j := range 500 {
			v := fmt.Sprintf("%d: %d %s", i, j, strings.Repeat("squeeze ", 20))
			k.Produce(context.Background(), &kgo.Record{Topic: name, Value: []byte(v)}, nil)
			want = append(want, v)
		}
		if err := k.Flush(timeout(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	sameValues(t, "ReadAll", values(t, c, name)[0], want)
}

// TestReaderPassesHoles reads a topic from which compaction took most records, and the last batch's too.
func TestReaderPassesHoles(t *testing.T) {
	c := shared(t)
	name := harness.Unique("compacted")
	k := foreign(t)
	req := kmsg.NewPtrCreateTopicsRequest()
	one := kmsg.NewCreateTopicsRequestTopic()
	one.Topic, one.NumPartitions, one.ReplicationFactor = name, 1, 1
	for key, value := range map[string]string{"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0"} {
		set := kmsg.NewCreateTopicsRequestTopicConfig()
		set.Name, set.Value = key, kmsg.StringPtr(value)
		one.Configs = append(one.Configs, set)
	}
	req.Topics = append(req.Topics, one)
	if _, err := req.RequestWith(timeout(t, time.Minute), k); err != nil {
		t.Fatal(err)
	}
	p, parts := fenced(t, c, ProducerConfig{TransactionalID: name}, name)
	ctx := timeout(t, time.Minute)
	put := func(key string, value []byte) {
		if err := p.Append(ctx, parts[0], 1, Record{TimeMillis: time.Now().UnixMilli(), Key: []byte(key), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	put("first", []byte("kept"))
	for i := range 1000 {
		put(fmt.Sprint(i%10), []byte(number(i)))
		if i%100 == 99 {
			p.Wait(ctx)
		}
	}
	for {
		put("tick", []byte("tick")) // a new record rolls the segment, which the cleaner then takes
		if err := p.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		got := values(t, c, name)[0]
		if len(got) < 20 {
			wantCompacted(t, got)
			break
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("compaction left %d records", len(got))
		}
	}
	r, err := c.NewReader(ctx, ReaderConfig{Offsets: map[TopicPartition]int64{{name, 0}: FirstOffset}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := read(t, ctx, r.Feed(TopicPartition{name, 0}), 11); got[0] != "kept" || got[10] != number(999) {
		t.Errorf("Feed gave %v", got)
	}
	tails, err := c.Tail(ctx, name, 12)
	if err != nil || len(tails[0]) != 12 {
		t.Fatalf("Tail gave %d records: %v", len(tails[0]), err)
	}
}

func wantCompacted(t *testing.T, got []string) {
	t.Helper()
	if got[0] != "kept" || len(got) < 12 || got[10] != number(999) {
		t.Errorf("got %v", got)
	}
}

func TestOffsetOutOfRange(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 1)
	produceForeign(t, foreign(t), name, "a", "b", "c")
	ctx := timeout(t, time.Minute)
	deleteRecords(t, name, 2)
	for from, say := range map[int64]string{0: "removed by retention", 99: "holds less than this reader has read already"} {
		r, err := c.NewReader(ctx, ReaderConfig{Offsets: map[TopicPartition]int64{{name, 0}: from}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Feed(TopicPartition{name, 0}).Next(ctx)
		var out *OffsetOutOfRangeError
		if !errors.As(err, &out) || out.First != 2 || out.End != 3 || out.Offset != from || !strings.Contains(err.Error(), say) {
			t.Errorf("from %d: got %v", from, err)
		}
		r.Close()
	}
}

// deleteRecords removes what is before offset, as retention does.
func deleteRecords(t *testing.T, topic string, offset int64) {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	one := kmsg.NewDeleteRecordsRequestTopic()
	part := kmsg.NewDeleteRecordsRequestTopicPartition()
	one.Topic, part.Offset = topic, offset
	one.Partitions = append(one.Partitions, part)
	req.Topics = append(req.Topics, one)
	if _, err := req.RequestWith(timeout(t, time.Minute), foreign(t)); err != nil {
		t.Fatal(err)
	}
}

// TestReaderKeepsItsBudget: a partition that nobody consumes holds its share, and the other goes on.
func TestReaderKeepsItsBudget(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 2)
	p, parts := fenced(t, c, ProducerConfig{TransactionalID: name, BatchBytes: 8 << 10}, name)
	ctx := timeout(t, time.Minute)
	const n = 60_000
	appendRange(t, ctx, p, parts, 0, n)
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	const budget = 128 << 10
	r, err := c.NewReader(ctx, ReaderConfig{BufferBytes: budget, Offsets: map[TopicPartition]int64{{name, 0}: FirstOffset, {name, 1}: FirstOffset}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	idle := r.Feed(TopicPartition{name, 0})
	wantSequence(t, read(t, ctx, r.Feed(TopicPartition{name, 1}), n/2), 1, n, 2)
	idle.mu.Lock()
	held := idle.queued
	idle.mu.Unlock()
	if held == 0 || held > budget {
		t.Errorf("the idle feed holds %d bytes of a budget of %d", held, budget)
	}
	wantSequence(t, read(t, ctx, idle, n/2), 0, n, 2)
}

func TestCommitOffsets(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 2)
	ctx := timeout(t, time.Minute)
	if err := c.CommitOffsets(ctx, name, map[string]map[int32]int64{name: {0: 5, 1: 7}}); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = name
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = name
	req.Groups = append(req.Groups, group)
	res, err := req.RequestWith(ctx, foreign(t))
	if err != nil {
		t.Fatal(err)
	}
	got := map[int32]int64{}
	for _, g := range res.Groups {
		for _, one := range g.Topics {
			for _, p := range one.Partitions {
				got[p.Partition] = p.Offset
			}
		}
	}
	if got[0] != 5 || got[1] != 7 {
		t.Errorf("committed %v", got)
	}
}
