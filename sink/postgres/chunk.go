package postgres

import (
	"encoding/binary"

	"github.com/sluicecdc/sluice/internal/change"
)

// chunk builds one text[] parameter a column, in binary form: lengths and bytes, nothing to escape.
// The form is that of array_send in PostgreSQL's source: dimensions, a flag for NULLs, the element
// type, the dimension's length and lower bound, then each element's length (-1 for NULL) and bytes.
type chunk struct {
	arrays  [][]byte
	rows    int
	bytes   int
	argbuf  [][]byte
	formats []int16
}

const (
	arrayHeader = 20
	oidText     = 25
)

func newChunk(columns int) *chunk {
	c := &chunk{arrays: make([][]byte, columns)}
	c.reset()
	return c
}

func (c *chunk) reset() {
	for i := range c.arrays {
		c.arrays[i] = append(c.arrays[i][:0], make([]byte, arrayHeader)...)
	}
	c.rows, c.bytes = 0, 0
}

// append adds a value to column i's array.
func (c *chunk) append(i int, v change.Value) {
	if v.Format == change.Null {
		c.arrays[i] = append(c.arrays[i], 0xff, 0xff, 0xff, 0xff)
		return
	}
	a := binary.BigEndian.AppendUint32(c.arrays[i], uint32(len(v.Data)))
	c.arrays[i] = append(a, v.Data...)
	c.bytes += len(v.Data) + 4
}

// args gives the parameters and their formats, extra ones in text form.
func (c *chunk) args(extra [][]byte) ([][]byte, []int16) {
	c.argbuf, c.formats = c.argbuf[:0], c.formats[:0]
	for _, a := range c.arrays {
		binary.BigEndian.PutUint32(a[0:], 1)
		binary.BigEndian.PutUint32(a[4:], 1)
		binary.BigEndian.PutUint32(a[8:], oidText)
		binary.BigEndian.PutUint32(a[12:], uint32(c.rows))
		binary.BigEndian.PutUint32(a[16:], 1)
		c.argbuf, c.formats = append(c.argbuf, a), append(c.formats, 1)
	}
	for _, e := range extra {
		c.argbuf, c.formats = append(c.argbuf, e), append(c.formats, 0)
	}
	return c.argbuf, c.formats
}
