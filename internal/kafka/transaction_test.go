package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicecdc/sluice/integration/harness"
)

// What is not committed is seen by nobody in read_committed, not even by a successor that looks where the topic ends,
// and the successor refuses whoever wrote it.
func TestOnlyWhatIsCommittedIsSeen(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 3)
	ctx := timeout(t, time.Minute)
	cfg := ProducerConfig{TransactionalID: name, Transactions: true}
	old, parts := fenced(t, c, cfg, name)
	appendRange(t, ctx, old, parts, 0, 30)
	if err := old.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	wantAll(t, c, name, 3, 30)
	appendRange(t, ctx, old, parts, 30, 60)
	old.Flush()
	awaitEnds(t, ctx, c, name, readUncommitted, 60)
	wantAll(t, c, name, 3, 30)
	if tag, ok := old.OldestTag(); !ok || tag != 30 {
		t.Errorf("the oldest record that is not committed is %d, %t, want 30", tag, ok)
	}

	young, youngParts := fenced(t, c, cfg, name)
	tails, err := c.Tail(ctx, name, 1)
	if err != nil {
		t.Fatal(err)
	}
	for part, last := range tails {
		if want := number(27 + part); len(last) != 1 || string(last[0].Value) != want {
			t.Errorf("partition %d ends with %v, want %s", part, last, want)
		}
	}
	old.Commit()
	var code Code
	if err := old.Wait(ctx); !errors.As(err, &code) || !strings.Contains(err.Error(), "another process has taken over") {
		t.Errorf("the old owner's commit got %v", err)
	}
	appendRange(t, ctx, young, youngParts, 30, 90)
	if err := young.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	wantAll(t, c, name, 3, 90)
}

// awaitEnds waits until a topic's ends add up to n records or more.
func awaitEnds(t *testing.T, ctx context.Context, c *Client, topic string, iso isolation, n int64) {
	t.Helper()
	for {
		ends, err := c.listOffsets(ctx, partitionsOf(topic, 3), EndOffset, iso)
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, end := range ends {
			sum += end
		}
		if sum >= n {
			return
		}
	}
}

// Another client, in read_committed, sees groups whole, in order and once, while some of them are larger than the
// producer's memory and many are committed together.
func TestGroupsInTransactions(t *testing.T) {
	c := shared(t)
	name := topic(t, c, 3)
	ctx := timeout(t, 2*time.Minute)
	p, parts := fenced(t, c, ProducerConfig{TransactionalID: name, Transactions: true, BufferBytes: 100_000, BatchBytes: 4 << 10}, name)
	const groups = 400
	size := func(g int) int {
		if g%50 == 49 {
			return 5000
		}
		return 1 + g%7
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		n := 0
		for g := range groups {
			for i := range size(g) {
				r := Record{TimeMillis: 1, Value: fmt.Appendf(nil, "%d/%d/%s", g, i, bytes.Repeat([]byte{'x'}, 40))}
				if err := p.Append(ctx, parts[n%3], uint64(g), r); err != nil {
					t.Error(err)
					return
				}
				n++
			}
			p.Commit()
			p.Flush()
		}
		if err := p.Wait(ctx); err != nil {
			t.Error(err)
		}
	})
	wantGroups(t, ctx, name, groups, size)
}

// wantGroups reads a topic of three partitions to its last group.
func wantGroups(t *testing.T, ctx context.Context, topic string, groups int, size func(g int) int) {
	t.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(harness.SharedKafka(t).Addrs()...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	seen, last, total, want := map[int]int{}, [3]int{-1, -1, -1}, 0, 0
	for g := range groups {
		want += size(g)
	}
	for total < want {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var g, i int
			if _, err := fmt.Sscanf(string(r.Value), "%d/%d/", &g, &i); err != nil {
				t.Fatal(err)
			}
			if g < last[r.Partition] {
				t.Errorf("partition %d goes back from group %d to %d", r.Partition, last[r.Partition], g)
			}
			last[r.Partition] = g
			seen[g]++
			total++
		})
	}
	for g := range groups {
		if seen[g] != size(g) {
			t.Errorf("group %d has %d records, want %d", g, seen[g], size(g))
		}
	}
}
