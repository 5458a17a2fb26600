package adaptive

import "time"

const (
	// Reads that follow one upon the other, each within rushGap, for rushTime make a connection busy: a transaction now and
	// then must not wait for more, but those of many writers do, since each waking costs us, the broker and the sink more than
	// what one transaction brings.
	rushGap  = 2 * pileWait
	rushTime = 20 * time.Millisecond
	// lulls is how many more waits bring nothing than something until the connection is idle again: a walsender that is short
	// of processor time pauses for a few.
	lulls = 8
)

// pace decides whether a connection is busy: whether to wait for more than the first byte.
type pace struct {
	busy  bool
	since time.Time // when reads began to follow one upon the other
	last  time.Time
	quiet int // waits for nothing, less those for something
}

// came notes that the first bytes came after a wait for them, and tells whether the connection is busy now.
func (p *pace) came(now time.Time) bool {
	if now.Sub(p.last) > rushGap {
		p.since = now
	}
	p.last = now
	if now.Sub(p.since) >= rushTime {
		*p = pace{busy: true}
	}
	return p.busy
}

// waited notes what a wait for a pile has brought, in bytes, and tells whether the connection is still busy.
func (p *pace) waited(n int) bool {
	if n > 0 {
		p.quiet = max(0, p.quiet-1)
	} else if p.quiet++; p.quiet >= lulls {
		*p = pace{}
	}
	return p.busy
}
