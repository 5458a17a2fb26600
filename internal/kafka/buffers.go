package kafka

import "sync"

// buffers keeps the buffers of batches for reuse, by size: a quiet partition holds 4 KiB, a busy one
// a whole batch. What is kept is the garbage collector's to take.
type buffers struct {
	sizes [4]int
	pools [4]sync.Pool
}

// init sets the sizes: 4, 16 and 64 KiB, and whole batches.
func (p *buffers) init(whole int) { p.sizes = [4]int{4 << 10, 16 << 10, 64 << 10, whole} }

// sizeFor gives the size of the buffer that holds n bytes; one beyond a whole batch is not kept.
func (p *buffers) sizeFor(n int) int {
	for _, s := range p.sizes {
		if n <= s {
			return s
		}
	}
	return n
}

// get gives an empty batch with room for exactly what sizeFor gave.
func (p *buffers) get(size int) *batch {
	b := &batch{}
	if i := p.index(size); i >= 0 {
		if kept, ok := p.pools[i].Get().(*batch); ok {
			b = kept
		}
	}
	b.reset(size)
	return b
}

func (p *buffers) put(b *batch) {
	if i := p.index(cap(b.buf)); i >= 0 {
		p.pools[i].Put(b)
	}
}

func (p *buffers) index(size int) int {
	for i, s := range p.sizes {
		if size == s {
			return i
		}
	}
	return -1
}

// grow moves an open batch to a larger buffer.
func (p *buffers) grow(b *batch, size int) *batch {
	larger := p.get(size)
	buf, packed := append(larger.buf[:0], b.buf...), larger.packed
	*larger = *b
	larger.buf, larger.packed = buf, packed
	p.put(b)
	return larger
}
