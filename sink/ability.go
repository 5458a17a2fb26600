package sink

import "github.com/sluicecdc/sluice/internal/change"

// Irrevocable is what a destination can do beside Sink when it can take nothing back, as an API's calls: it moves on within a
// group, and a batch may become durable with a later one only. When it refuses rows of a batch others of it are applied,
// which it knows when the batch comes again without the refused ones.
type Irrevocable interface {
	// Passed tells whether the destination is past a change for good, in its checkpoint or in the group behind it.
	Passed(at change.Position) bool
}

// abilityOf gives what a destination can do beside Sink, also behind the mappings and the breaker.
func abilityOf[T any](dest Sink) (can T, ok bool) {
	for {
		if can, ok = dest.(T); ok {
			return can, true
		}
		before, is := dest.(interface{ behind() Sink })
		if !is {
			return can, false
		}
		dest = before.behind()
	}
}
