package adaptive

import (
	"testing"
	"time"
)

// follow has first bytes come every gap until the connection is busy; it gives how many came.
func follow(p *pace, gap time.Duration, most int) int {
	now := time.Unix(1, 0)
	for n := 1; n <= most; n++ {
		if p.came(now) {
			return n
		}
		now = now.Add(gap)
	}
	return most + 1
}

func TestManyWritersMakeBusy(t *testing.T) {
	var p pace
	if n := follow(&p, time.Millisecond, 1000); n != 21 {
		t.Errorf("busy after %d transactions a millisecond apart, want 21: 20 ms", n)
	}
}

func TestSlowWriterIsReadAtOnce(t *testing.T) {
	var p pace
	follow(&p, rushGap+time.Millisecond, 1000)
	if p.busy {
		t.Error("a transaction every 5 ms waits for more")
	}
}

// A transaction of many messages is over before the connection is busy.
func TestBurstIsReadAtOnce(t *testing.T) {
	var p pace
	follow(&p, 10*time.Microsecond, 1000)
	if p.busy {
		t.Error("a burst of 10 ms waits for more")
	}
}

func TestBusyEnds(t *testing.T) {
	for name, c := range map[string]struct {
		brings []int // by waits, again and again
		busy   bool
	}{
		"nothing comes":      {[]int{0}, false},
		"one wait in three":  {[]int{100, 0, 0}, false},
		"two waits in three": {[]int{100, 0, 100}, true},
		"always something":   {[]int{1}, true},
		"every second wait":  {[]int{pileMost, 0}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := pace{busy: true}
			for i := 0; i < 300 && p.busy; i++ {
				p.waited(c.brings[i%len(c.brings)])
			}
			if p.busy != c.busy {
				t.Errorf("busy is %v, want %v", p.busy, c.busy)
			}
		})
	}
}
