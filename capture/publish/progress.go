package publish

import (
	"sync"

	"github.com/sluicecdc/sluice/internal/change"
)

// progress maps groups to the LSN that may be confirmed once they are acknowledged. Groups are
// numbered from 1; the number of the open group is the tag of its records.
type progress struct {
	mu      sync.Mutex
	done    uint64     // groups that ended
	first   uint64     // of them the first whose END is not written; 0 when all are
	waiting []finished // ended, not known to be durable; ascending
	durable change.LSN
}

type finished struct {
	number uint64
	end    change.LSN
}

// tag numbers the records of the open group. Only the publishing goroutine changes done, so it reads
// it without the lock.
func (g *progress) tag() uint64 { return g.done + 1 }

// finish ends the open group. Its END may be delayed.
func (g *progress) finish(end change.LSN, delayed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done++
	if delayed && g.first == 0 {
		g.first = g.done
	}
	g.waiting = append(g.waiting, finished{g.done, end})
}

// ended says which is now the first group whose END is not written. What was written is appended already, so that
// the producer knows of it.
func (g *progress) ended(first uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.first = first
}

// advance moves the durable LSN over every group that ended before the oldest record that is not
// acknowledged. The groups that ended are counted before oldest is asked: a group that ends between
// the two has records that oldest may not have seen.
func (g *progress) advance(oldest func() (tag uint64, ok bool)) change.LSN {
	g.mu.Lock()
	defer g.mu.Unlock()
	limit := g.done
	if g.first != 0 {
		limit = g.first - 1
	}
	if tag, ok := oldest(); ok && tag <= limit {
		limit = tag - 1
	}
	n := 0
	for n < len(g.waiting) && g.waiting[n].number <= limit {
		g.durable = max(g.durable, g.waiting[n].end)
		n++
	}
	g.waiting = append(g.waiting[:0], g.waiting[n:]...)
	return g.durable
}

// Durable implements capture.Publisher.
func (p *Publisher) Durable() change.LSN { return p.progress.advance(p.producer.OldestTag) }
