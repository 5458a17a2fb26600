package pgoutput

import (
	"encoding/binary"

	"github.com/sluicecdc/sluice/internal/change"
)

// row reads TupleData into dst, which is reused when it is large enough. Values are views.
func (c *cursor) row(dst change.Row) change.Row {
	n := int(c.u16())
	// Every column takes at least its format byte: a count that lies cannot make us allocate.
	if n > len(c.b) {
		c.fail("a row has more columns than bytes")
		return dst[:0]
	}
	if cap(dst) < n {
		dst = make(change.Row, n)
	}
	dst = dst[:n]
	for i := range dst {
		if !c.value(&dst[i]) {
			return dst[:0]
		}
	}
	return dst
}

// value reads one column, and is where a row's time goes: it works on the bytes directly.
func (c *cursor) value(v *change.Value) bool {
	b := c.b
	if len(b) == 0 {
		c.fail("a row ends early")
		return false
	}
	switch f := change.Format(b[0]); f {
	case change.Null, change.Unchanged:
		*v = change.Value{Format: f}
		c.b = b[1:]
		return true
	case change.Text, change.Binary:
		if len(b) < 5 {
			c.fail("a value has no length")
			return false
		}
		n := int64(int32(binary.BigEndian.Uint32(b[1:])))
		if n < 0 || n > int64(len(b)-5) {
			c.fail("a value is longer than its message")
			return false
		}
		*v = change.Value{Format: f, Data: b[5 : 5+n : 5+n]}
		c.b = b[5+n:]
		return true
	default:
		c.fail("a value has an unknown format")
		return false
	}
}
