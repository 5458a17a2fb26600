package adaptive

import "testing"

func TestWindowFollowsTheMessages(t *testing.T) {
	w := window{size: windowSmall}
	for i, step := range []struct {
		bytes int // of each message
		size  int
	}{{180, windowSmall}, {600, windowWide}, {1 << 20, windowWide}, {40, windowSmall}} {
		before := w.size
		changed := false
		for passed := 0; passed < windowAfter; passed += step.bytes {
			changed = w.passed(1, step.bytes) || changed
		}
		if w.size != step.size || changed != (before != step.size) {
			t.Errorf("step %d: messages of %d bytes make a window of %d (changed: %v), want %d", i, step.bytes, w.size, changed, step.size)
		}
	}
}
