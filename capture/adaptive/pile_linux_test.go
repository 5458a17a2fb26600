package adaptive

import "testing"

// TestPileThatNeverComes has a window that is full before a pile is there: few waits may last to their end.
func TestPileThatNeverComes(t *testing.T) {
	const full = 40 << 10
	p := pile{size: pileMost, most: pileMost}
	late := 0
	for range 10_000 {
		if p.size > full {
			late++
		}
		p.waited(p.size, full)
	}
	if late > 10_000/40 {
		t.Errorf("%d of 10000 waits last to their end", late)
	}
}

// TestPileGrowsAgain has a server that paused once.
func TestPileGrowsAgain(t *testing.T) {
	p := pile{size: pileMost, most: pileMost}
	p.waited(p.size, 100)
	if p.size != 50 {
		t.Errorf("%d bytes are waited for behind a wait that brought 100", p.size)
	}
	reads := 0
	for ; p.size < pileMost; reads++ {
		p.waited(p.size, pileMost)
	}
	if reads > 1000 {
		t.Errorf("%d reads until a whole pile is waited for again", reads)
	}
	p.waited(p.size, 0)
	if p.size != pileMost {
		t.Error("a wait for nothing makes piles smaller")
	}
}
