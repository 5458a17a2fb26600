package sink

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// A window counts what a list of all commits counts, to a sixtieth of its length, whatever their order.
func TestWindow(t *testing.T) {
	const length = time.Minute
	random := rand.New(rand.NewPCG(1, 2))
	type commit struct{ slot, rows int64 }
	var (
		w   window
		all []commit
		at  = change.Micros(1_700_000_000_000_000)
	)
	newest := slotOf(at, length)
	for i := range 20_000 {
		at += change.Micros(random.Int64N(500_000))
		if i%5000 == 4999 {
			at += change.Micros(2 * length.Microseconds())
		}
		c := commit{slotOf(at-change.Micros(random.Int64N(5_000_000)), length), 1 + random.Int64N(100)}
		if c.slot-newest >= slots {
			all = all[:0]
		}
		all = append(all, c)
		newest = max(newest, c.slot)
		want := int64(0)
		for _, c := range all {
			if c.slot > newest-slots {
				want += c.rows
			}
		}
		if got := w.add(c.slot, c.rows); got != want {
			t.Fatalf("commit %d: %d rows, want %d", i, got, want)
		}
	}
}

// A clock that steps back by more than the window begins a new one: else what was counted would stay for hours.
func TestWindowWhenClockSteps(t *testing.T) {
	var w window
	w.add(1000, 5)
	if got := w.add(1000-slots+1, 2); got != 7 {
		t.Errorf("a little out of order: %d", got)
	}
	if got := w.add(1000-slots, 3); got != 3 {
		t.Errorf("a step back: %d", got)
	}
	if got := w.add(-5, 4); got != 4 {
		t.Errorf("before 1970: %d", got)
	}
}
