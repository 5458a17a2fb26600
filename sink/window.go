package sink

import (
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// slots is how many parts a window has: it is exact to a sixtieth, and a table's takes half a kilobyte.
const slots = 60

// window counts rows by the commit times of their transactions at the source, so that the same log gives the
// same counts whenever it is read. A copy of it is a state to go back to.
type window struct {
	rows   [slots]int64
	newest int64
	sum    int64
}

// slotOf numbers the part of a window that a time falls into.
func slotOf(at change.Micros, length time.Duration) int64 {
	return int64(at) / (length.Microseconds() / slots)
}

// add counts rows and gives the sum of the window that ends with the newest slot. Commits may be somewhat out
// of order; a clock that stepped by more than a window begins a new one.
func (w *window) add(slot, n int64) int64 {
	if ahead := slot - w.newest; ahead >= slots || ahead <= -slots {
		*w = window{newest: slot}
	}
	for w.newest < slot {
		w.newest++
		w.sum -= w.rows[index(w.newest)]
		w.rows[index(w.newest)] = 0
	}
	w.rows[index(slot)] += n
	w.sum += n
	return w.sum
}

func index(slot int64) int64 { return (slot%slots + slots) % slots }
