package capture

import "sync"

// slabBytes is the size of a piece of the stream: what one read of a busy connection gives. Larger
// pieces were not faster, smaller ones cost reads (the walsender pays for each wake-up too).
const slabBytes = 128 << 10

// minSlabs is the least that lets the reader fill one slab while another is decoded.
const minSlabs = 4

// slab is a piece of the stream on its way from the receiver to the decoder: whole protocol frames.
type slab struct {
	buf []byte
	n   int // bytes of whole frames
}

// pool bounds the bytes of the stream that are in memory. A frame larger than a slab gets a slab of
// its own size, counted in the budget; when it is larger than the budget it travels alone.
type pool struct {
	freed chan struct{} // holds a token after a slab came back

	mu     sync.Mutex
	free   []*slab
	used   int // bytes handed out
	budget int
}

func newPool(budget int) *pool {
	return &pool{freed: make(chan struct{}, 1), budget: max(budget, minSlabs*slabBytes)}
}

// get gives a slab of at least size bytes, or nil while the budget is spent: then wait for freed.
func (p *pool) get(size int) *slab {
	size = max(size, slabBytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used > 0 && p.used+size > p.budget {
		return nil
	}
	p.used += size
	if n := len(p.free); n > 0 && size == slabBytes {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s
	}
	return &slab{buf: make([]byte, size)}
}

// put takes a slab back. Large ones are left to the garbage collector.
func (p *pool) put(s *slab) {
	p.mu.Lock()
	p.used -= len(s.buf)
	if s.n = 0; len(s.buf) == slabBytes {
		p.free = append(p.free, s)
	}
	p.mu.Unlock()
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// waiting gives the bytes that are handed out.
func (p *pool) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}
