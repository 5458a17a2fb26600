package adaptive

// pileMost is how many bytes are waited for at most.
const pileMost = 128 << 10

// pile is how many bytes a read waits for while they keep coming.
type pile struct {
	size int
	most int // that the kernel wakes us for
}

// waited notes that want bytes were waited for and n were there in the end. Where fewer came, either the server had no more or
// what is under way takes so much more of the kernel's memory than its bytes that the window is full before the pile is
// there, and each wait would last to its end: half of what came is waited for from then on, and slowly more.
func (p *pile) waited(want, n int) {
	switch {
	case n >= want:
		p.size = min(p.most, p.size+p.size/64+1)
	case n > 0:
		p.size = max(1, n/2)
	}
}
