package consume

import (
	"unsafe"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

const (
	valueBytes  = int(unsafe.Sizeof(change.Value{}))
	changeBytes = int(unsafe.Sizeof(change.Change{}))
)

// buffer is the memory of one batch, reused for the batch after the next. Changes are views of the
// arena and of the cells; when one of them grows, older views keep the memory that they point to.
type buffer struct {
	batch sink.Batch
	arena []byte
	cells []change.Value // what is left of the current slab
	slab  []change.Value
	used  int // cells given out since reset
}

// reset forgets the batch. keep bounds the memory that stays for the next one, in bytes.
func (b *buffer) reset(keep int) {
	b.arena = b.arena[:0]
	if cap(b.arena) > keep {
		b.arena = nil
	}
	if len(b.slab)*valueBytes > keep {
		b.slab = nil
	}
	b.cells, b.used = b.slab, 0
	b.batch = sink.Batch{Changes: b.batch.Changes[:0], Commits: b.batch.Commits[:0]}
}

// size is the memory of what the batch holds, in bytes.
func (b *buffer) size() int {
	return len(b.arena) + b.used*valueBytes + len(b.batch.Changes)*changeBytes
}

// row gives an empty row that takes n values without growing.
func (b *buffer) row(n int) change.Row {
	if len(b.cells) < n {
		b.slab = make([]change.Value, max(n, 2*len(b.slab), 1024))
		b.cells = b.slab
	}
	row := b.cells[:0:n]
	b.cells = b.cells[n:]
	b.used += n
	return row
}

// giveBack returns the last row when it was not needed.
func (b *buffer) giveBack(n int) {
	start := len(b.slab) - len(b.cells) - n
	b.cells = b.slab[start:]
	b.used -= n
}

// adopt copies a change, with all that it points to, out of another buffer.
func (b *buffer) adopt(c *change.Change) change.Change {
	out := *c
	out.Before, out.After, out.OtherKey = b.copyRow(c.Before), b.copyRow(c.After), b.copyRow(c.OtherKey)
	return out
}

func (b *buffer) copyRow(row change.Row) change.Row {
	if row == nil {
		return nil
	}
	out := b.row(len(row))
	for _, v := range row {
		if v.Data != nil {
			start := len(b.arena)
			b.arena = append(b.arena, v.Data...)
			v.Data = b.arena[start:len(b.arena):len(b.arena)]
		}
		out = append(out, v)
	}
	return out
}
