package deadletter_test

import (
	"errors"
	"log/slog"
	"reflect"
	"testing"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/deadletter"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
)

func entry(id string, ordinal int64) deadletter.Entry {
	t := &change.Table{Schema: "public", Name: "t", Columns: []change.Column{{Name: "id", Type: schemas.TypeOf(25, -1, "", nil)}}, Key: []int{0}}
	return deadletter.New(&change.Change{Op: change.Create, Table: t, Commit: 7, Ordinal: ordinal, After: change.Row{{Format: change.Text, Data: []byte(id)}}})
}

// What was written is read, by another process too, and only the process that has read everything can write.
func TestTopic(t *testing.T) {
	cfg := kafka.DefaultConfig()
	cfg.Brokers = harness.SharedKafka(t).Addrs()
	client, err := kafka.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	source := harness.Unique("src")
	open := func() *deadletter.Topic {
		topic := deadletter.Open(client, source, "billing")
		t.Cleanup(func() { _ = topic.Close() })
		return topic
	}
	read := func(from *deadletter.Topic) *deadletter.Contents {
		t.Helper()
		c, err := from.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := open(), open()
	if c := read(a); c.End != 0 || len(c.Entries) != 0 {
		t.Errorf("a topic that is not there holds %+v", c)
	}
	read(b)
	var end int64
	w := &deadletter.Writing{Put: []deadletter.Entry{entry("1", 1), entry("2", 2), entry("3", 3)}, Mark: []string{"x"}}
	if end, err = a.Write(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	w = &deadletter.Writing{Remove: []string{w.Put[1].ID()}}
	if _, err := b.Write(t.Context(), w); !errors.Is(err, deadletter.ErrTakenOver) {
		t.Errorf("who has not seen what is there writes: %v", err)
	}
	c := read(b)
	if len(c.Entries) != 3 || c.Gone == nil || c.Gone.Offset >= end || c.End > end {
		t.Errorf("%+v, behind what was written is %d", c, end)
	}
	if _, err := b.Write(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	var failed *deadletter.Error
	if _, err := a.Write(t.Context(), w); !errors.Is(err, deadletter.ErrTakenOver) || !errors.As(err, &failed) || !failed.Retryable() {
		t.Errorf("who was replaced writes: %v", err)
	}
	c = read(a)
	all := c.Sorted()
	if len(all) != 2 || all[0].Key != "public.t/id=1" || all[1].Key != "public.t/id=3" {
		t.Fatalf("%+v", all)
	}
	entries, err := a.Load(t.Context(), []int64{all[0].Offset, all[1].Offset})
	want := []deadletter.Entry{entry("1", 1), entry("3", 3)}
	if err != nil || len(entries) != 2 || !reflect.DeepEqual(entries[1].Change.After, want[1].Change.After) || entries[0].ID() != want[0].ID() {
		t.Errorf("%v: %+v", err, entries)
	}
	if _, err := a.Write(t.Context(), w); err != nil {
		t.Errorf("who has read again: %v", err)
	}
}
