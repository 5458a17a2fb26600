package publish

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicecdc/sluice/internal/change"
)

func none() (uint64, bool) { return 0, false }

func TestDurableStopsBeforeTheOldestUnacknowledgedRecord(t *testing.T) {
	var g progress
	g.finish(10, false)
	g.finish(20, false)
	g.finish(30, false)
	if got := g.advance(func() (uint64, bool) { return 2, true }); got != 10 {
		t.Errorf("a record of the second group is not acknowledged, durable is %d, want 10", got)
	}
	if got := g.advance(none); got != 30 {
		t.Errorf("all is acknowledged, durable is %d, want 30", got)
	}
}

func TestDurableLeavesOutTheOpenGroup(t *testing.T) {
	var g progress
	g.finish(10, false)
	tag := g.tag() // records of the second group are acknowledged before it ends
	if got := g.advance(none); got != 10 || tag != 2 {
		t.Errorf("durable is %d (want 10), tag of the open group %d (want 2)", got, tag)
	}
}

// A group that ends while the producer is asked for its oldest record must not count as durable: the
// answer may be from before its records were appended.
func TestDurableIgnoresGroupsThatEndAfterTheQuestion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g progress
		var ends []change.LSN
		acked := uint64(0) // groups whose records are all acknowledged
		steps := rapid.SliceOfN(rapid.IntRange(0, 2), 1, 60).Draw(t, "steps")
		for _, s := range steps {
			switch s {
			case 0:
				ends = append(ends, change.LSN(len(ends)+1)*10)
				g.finish(ends[len(ends)-1], false)
			case 1:
				acked = min(acked+1, uint64(len(ends)))
			case 2:
				got := g.advance(func() (uint64, bool) { return acked + 1, acked < uint64(len(ends)) })
				want := change.LSN(acked * 10)
				if got != want {
					t.Fatalf("%d of %d groups are acknowledged, durable is %d, want %d", acked, len(ends), got, want)
				}
			}
		}
	})
}

func TestSeenPassesEachTailOnce(t *testing.T) {
	s := &stream{tails: []change.Position{{Commit: 100, Ordinal: 3}, {}}}
	for _, c := range []struct {
		partition int32
		at        change.Position
		want      bool
	}{
		{0, change.Position{Commit: 90, Ordinal: 9}, true},
		{1, change.Position{Commit: 90, Ordinal: 10}, false},
		{0, change.Position{Commit: 100, Ordinal: 3}, true},
		{0, change.Position{Commit: 100, Ordinal: 4}, false},
		{0, change.Position{Commit: 110, Ordinal: 1}, false},
	} {
		if got := s.seen(c.partition, c.at); got != c.want {
			t.Errorf("seen(%d, %s) = %v, want %v", c.partition, c.at, got, c.want)
		}
	}
	if !s.fresh {
		t.Error("every tail is passed, the stream should be fresh")
	}
}

// A group whose END is not written is not durable, nor is any behind it.
func TestDelayedEndIsNotDurable(t *testing.T) {
	var g progress
	none := func() (uint64, bool) { return 0, false }
	g.finish(10, false)
	g.finish(20, true)
	g.finish(30, true)
	if got := g.advance(none); got != 10 {
		t.Errorf("durable is %s, want 0/A", got)
	}
	g.ended(3)
	if got := g.advance(none); got != 20 {
		t.Errorf("durable is %s, want 0/14", got)
	}
	g.ended(0)
	if got := g.advance(func() (uint64, bool) { return 3, true }); got != 20 {
		t.Errorf("durable is %s, want 0/14: the END is on its way", got)
	}
	if got := g.advance(none); got != 30 {
		t.Errorf("durable is %s, want 0/1E", got)
	}
}
