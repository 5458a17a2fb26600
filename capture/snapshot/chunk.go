package snapshot

import (
	"sync"

	"github.com/sluicecdc/sluice/internal/change"
)

// Chunk is a range that was read, as PostgreSQL sent it.
type Chunk struct {
	View  *View
	table *change.Table

	parts []*part
	bytes int64
	limit int64
	full  bool
}

// part is a piece of memory that chunks are made of: one that is used again need be neither found nor cleared.
type part struct{ rows []byte }

// partBytes is the size of a part; only one for a row that is larger has more.
const partBytes = 256 << 10

var parts = sync.Pool{New: func() any { return &part{make([]byte, 0, partBytes)} }}

// Write takes bytes of the copy.
func (c *Chunk) Write(b []byte) (int, error) {
	c.bytes += int64(len(b))
	if c.limit > 0 && c.bytes > c.limit {
		c.full = true
		return 0, ErrTooLarge
	}
	n := len(c.parts)
	if n == 0 || cap(c.parts[n-1].rows)-len(c.parts[n-1].rows) < len(b) {
		c.parts = append(c.parts, partFor(len(b)))
		n++
	}
	last := c.parts[n-1]
	last.rows = append(last.rows, b...)
	return len(b), nil
}

func partFor(n int) *part {
	if n > partBytes {
		return &part{make([]byte, 0, n)}
	}
	return parts.Get().(*part) //nolint:forcetypeassert // nothing else is put there
}

// Bytes gives the size.
func (c *Chunk) Bytes() int64 { return c.bytes }

// Each gives every row to emit, whose change is valid during the call. It returns emit's error as it stands.
func (c *Chunk) Each(emit func(*change.Change) error) error {
	p := newParser(c.table, emit)
	for _, part := range c.parts {
		if _, err := p.Write(part.rows); err != nil {
			return err
		}
	}
	return p.end()
}

// Release gives the rows' memory to other chunks.
func (c *Chunk) Release() {
	for _, p := range c.parts {
		if cap(p.rows) == partBytes {
			p.rows = p.rows[:0]
			parts.Put(p)
		}
	}
	c.parts = nil
}
