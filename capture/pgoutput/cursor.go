package pgoutput

import (
	"bytes"
	"encoding/binary"

	"github.com/sluicecdc/sluice/internal/change"
)

// cursor takes values off the front of b. After the first thing that does not fit it is broken: it
// gives zeroes, and end gives the error. So a decoder reads its fields in order and asks once.
type cursor struct {
	b       []byte
	problem string
}

func (c *cursor) fail(problem string) {
	if c.problem == "" {
		c.problem = problem
	}
	c.b = nil
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.fail("it ends early")
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) lsn() change.LSN     { return change.LSN(c.u64()) }
func (c *cursor) time() change.Micros { return change.Micros(c.u64()) + epoch }

// xid reads the transaction id that stands in front of messages inside a streamed block.
func (c *cursor) xid(streamed bool) uint32 {
	if !streamed {
		return 0
	}
	return c.u32()
}

// text reads a string that ends with a zero byte, without it.
func (c *cursor) text() []byte {
	i := bytes.IndexByte(c.b, 0)
	if i < 0 {
		c.fail("a string has no end")
		return nil
	}
	s := c.take(i + 1)
	return s[:i:i]
}

// end gives the error of a message that broke or that has bytes left over.
func (c *cursor) end(message string) error {
	if c.problem == "" && len(c.b) > 0 {
		c.problem = "it has bytes left over"
	}
	if c.problem == "" {
		return nil
	}
	return &Error{Message: message, Problem: c.problem}
}
