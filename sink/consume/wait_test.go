package consume

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicecdc/sluice/sink"
)

// given is a batch with the time it came at.
type given struct {
	*sink.Batch
	at time.Duration
}

// follow reads batches in the background, each wanted at once, until the test ends.
func follow(t *testing.T, c *consumer) <-chan given {
	out := make(chan given, 1000)
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			b, err := c.Next(ctx, nil)
			if err != nil {
				return
			}
			out <- given{b, time.Since(began)}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return out
}

// grow wakes the one feed that the consumer waits for.
func (r *rig) grow() {
	synctest.Wait()
	select {
	case r.more <- struct{}{}:
	default:
	}
	synctest.Wait()
}

func TestIdleCheckpointsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(newFakeLog(), map[string]int{"a": 1, "c": 1}, "a")
		r := newRig(w)
		r.more = make(chan struct{})
		out := follow(t, r.start(sink.Checkpoint{}))
		for range 5000 { // a group of a table that is not ours, each millisecond
			w.begin(false)
			w.row('c', "c", 0, "x")
			w.end()
			r.grow()
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		if n := len(out); n < 9 || n > 12 {
			t.Errorf("%d checkpoints in 5 s without changes", n)
		}
		time.Sleep(time.Second)
		var last given
		for len(out) > 0 {
			last = <-out
		}
		if int64(last.Checkpoint.Commit) != w.commit || len(last.Changes) != 0 || last.Open || len(last.Commits) != 0 {
			t.Errorf("the last one is %+v, want commit %d", last.Batch, w.commit)
		}
	})
}

func TestChangesAreGivenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(newFakeLog(), map[string]int{"a": 1}, "a")
		r := newRig(w)
		r.more = make(chan struct{})
		out := follow(t, r.start(sink.Checkpoint{}))
		for i := range 3 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			w.begin(false)
			w.end() // a heartbeat does not delay what follows
			w.begin(false)
			w.row('d', "a", 0, "x")
			w.tombstone("a", 0)
			w.end()
			r.grow()
			b := <-out
			if len(b.Changes) == 0 {
				b = <-out // the first heartbeat is given by itself
			}
			if want := time.Duration(i+1) * 100 * time.Millisecond; b.at != want || len(b.Changes) != 1 {
				t.Errorf("%d changes after %v, want 1 after %v", len(b.Changes), b.at, want)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		w.begin(false)
		w.end()
		r.grow()
		if b := <-out; b.Checkpoint.Offsets[w.tp("a", 0).Topic][0] != 6 {
			t.Errorf("a heartbeat at rest left the last tombstone unread: %v", b.Checkpoint.Offsets)
		}
	})
}

func TestWholeGroupsDoNotWaitForALateOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(newFakeLog(), map[string]int{"a": 2}, "a")
		for range 2 {
			w.begin(false)
			w.row('c', "a", 0, "x")
			w.row('c', "a", 1, "y")
			w.end()
		}
		late := w.tp("a", 1)
		all := w.log.records[late]
		w.log.records[late] = all[:1]
		r := newRig(w)
		r.more = make(chan struct{})
		log := &bytes.Buffer{}
		c := r.start(sink.Checkpoint{})
		c.log = slog.New(slog.NewTextHandler(log, nil))
		out := follow(t, c)
		if b := <-out; b.at != 0 || len(b.Changes) != 2 || b.Checkpoint.Commit != 1010 {
			t.Fatalf("%+v after %v", b.Batch, b.at)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := strings.Count(log.String(), "waiting for records that their group's END announced"); n != 1 || len(out) != 0 {
			t.Errorf("%d lines about late records, %d batches", n, len(out))
		}
		w.log.records[late] = all
		r.grow()
		b := <-out
		if len(b.Changes) != 2 || b.Checkpoint.Commit != 1020 || string(b.Changes[0].After[0].Data) != "x" {
			t.Fatalf("%+v", b.Batch)
		}
	})
}

func TestGathersWhileNotDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(newFakeLog(), map[string]int{"a": 1}, "a")
		r := newRig(w)
		r.more = make(chan struct{})
		c := r.start(sink.Checkpoint{})
		due, want := context.WithCancel(t.Context())
		got := make(chan *sink.Batch)
		go func() {
			b, err := c.Next(t.Context(), due)
			if err != nil {
				t.Error(err)
			}
			got <- b
		}()
		synctest.Wait()
		for range 7 {
			w.begin(false)
			w.row('c', "a", 0, "x")
			w.end()
			r.grow()
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		select {
		case b := <-got:
			t.Fatalf("given before it was due: %+v", b)
		default:
		}
		want()
		if b := <-got; b.Groups != 7 {
			t.Errorf("%d groups were gathered", b.Groups)
		}
	})
}

// sprouting is a cluster with two topics, the first of which appears with time.
type sprouting struct{ asked int }

func (s *sprouting) Partitions(_ context.Context, topic string) (int, error) {
	s.asked++
	if topic == "early" || topic == "late" && s.asked > 10 {
		return 3, nil
	}
	return 0, nil
}

// The transaction topic is waited for, that of a table is not.
func TestFindsTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bytes.Buffer{}
		counts, err := findTopics(t.Context(), &sprouting{}, []string{"late", "early", "absent"}, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil || counts["early"] != 3 || counts["late"] != 3 || counts["absent"] != 0 {
			t.Fatal(counts, err)
		}
		if n := strings.Count(log.String(), "late absent"); n != 1 {
			t.Errorf("%d lines:\n%s", n, log)
		}
	})
}
