package capture

import (
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// progress joins what the decoder has seen with what the publisher has made durable. It is the one
// place that decides what PostgreSQL is told (G3).
type progress struct {
	durable func() change.LSN // the publisher's, or 0 while there is none

	mu        sync.Mutex
	moved     change.LSN // positions are LSNs of the log plus this
	published change.LSN // End of the last group handed over whole
	commits   []commit   // published groups whose time matters for the lag, oldest first
	latest    commit     // the newest durable one
	highest   change.LSN // given by confirmable, which never goes back
}

// commit is when a group was committed at the source.
type commit struct {
	end  change.LSN
	time change.Micros
}

// commitSpacing thins the commits that are remembered: the lag is not measured finer.
const commitSpacing = change.Micros(50 * time.Millisecond / time.Microsecond)

// maxCommits bounds them: at 50 ms each, more than a minute.
const maxCommits = 2048

// confirmable gives the LSN of the log to confirm as written, flushed and applied: what is durable.
func (p *progress) confirmable() change.LSN {
	durable := p.durable()
	p.mu.Lock()
	defer p.mu.Unlock()
	if durable > p.moved {
		p.highest = max(p.highest, durable-p.moved)
	}
	return p.highest
}

// shift gives what positions are more than LSNs of the log.
func (p *progress) shift() change.LSN {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.moved
}

// move begins with a log whose LSNs are to be shifted. Nothing of it is durable.
func (p *progress) move(by change.LSN) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved, p.highest = by, 0
}

// publish notes a group that was handed over whole.
func (p *progress) publish(end change.LSN, at change.Micros) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = max(p.published, end)
	n := len(p.commits)
	if n > 0 && n < maxCommits && at-p.commits[n-1].time >= commitSpacing || n == 0 {
		p.commits = append(p.commits, commit{end, at})
		return
	}
	// The last one stands for all of its 50 ms, so its end moves and its time stays.
	p.commits[n-1].end = max(p.commits[n-1].end, end)
}

// publishCopy notes a group that stands between two transactions. It says nothing of how late the stream is.
func (p *progress) publishCopy(end change.LSN) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = max(p.published, end)
}

// handed gives the End of the last group that was handed over whole.
func (p *progress) handed() change.LSN {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.published
}

// drained tells whether every group that was handed over whole is durable.
func (p *progress) drained() bool {
	durable := p.durable()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.published <= durable
}

// newest gives the commit time of the newest durable group; false before the first.
func (p *progress) newest() (change.Micros, bool) {
	durable := p.durable()
	p.mu.Lock()
	defer p.mu.Unlock()
	i := 0
	for i < len(p.commits) && p.commits[i].end <= durable {
		p.latest = p.commits[i]
		i++
	}
	p.commits = append(p.commits[:0], p.commits[i:]...)
	return p.latest.time, p.latest.end != 0
}
