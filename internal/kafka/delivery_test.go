package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func TestAppendArrivesInOrder(t *testing.T) {
	b := startBroker(t)
	c := open(t, b.addr)
	name := topic(t, c, 3, false)
	p, to := fenced(t, c, "first", name)
	ctx := timeout(t, time.Minute)
	const n = 30_000
	for i := range n {
		if err := p.Append(ctx, to[i%3], uint64(i), Record{TimeMillis: 1_700_000_000_000, Key: []byte("k"), Value: fmt.Appendf(nil, "%08d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.OldestTag(); ok {
		t.Error("something is still unacknowledged after Wait")
	}
	got := values(t, c, name)
	for part := range int32(3) {
		wantSequence(t, got[part], int(part), n, 3)
	}
	tails, err := c.Tail(ctx, name, 2)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(tails[0][1].Value); s != fmt.Sprintf("%08d", n-3) {
		t.Errorf("last record of partition 0 is %q", s)
	}
	r, err := c.NewReader(ctx, ReaderConfig{Offsets: map[TopicPartition]int64{{name, 0}: FirstOffset, {name, 1}: FirstOffset, {name, 2}: FirstOffset}, BufferBytes: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for part := range int32(3) {
		wantSequence(t, take(t, ctx, r.Feed(TopicPartition{name, part}), n/3), int(part), n, 3)
	}
}

// wantSequence checks that a partition holds from, from+step, ... below end.
func wantSequence(t *testing.T, got []string, from, end, step int) {
	t.Helper()
	i := 0
	for v := from; v < end; v += step {
		if i >= len(got) || got[i] != fmt.Sprintf("%08d", v) {
			t.Fatalf("record %d of %d: got %q, want %08d", i, len(got), at(got, i), v)
		}
		i++
	}
	if i != len(got) {
		t.Fatalf("%d records where %d were appended", len(got), i)
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

func take(t *testing.T, ctx context.Context, f *Feed, n int) []string {
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
