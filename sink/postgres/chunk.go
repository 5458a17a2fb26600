package postgres

import (
	"encoding/binary"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// chunk builds one array parameter a column, in binary form: lengths and bytes, nothing to escape. The form is that of
// array_send in PostgreSQL's source: dimensions, a flag for NULLs, the element type, the dimension's length and lower
// bound, then each element's length (-1 for NULL) and bytes.
type chunk struct {
	forms   []*form // of the arrays
	cols    []int   // where a row has their values
	rows    []change.Row
	arrays  [][]byte // as many as forms, and what others have left
	as      arrays   // typed until a value has no binary form
	bytes   int
	argbuf  [][]byte
	formats []int16
}

const arrayHeader = 20

// chunkOf empties the session's chunk for columns of t.
func (s *Sink) chunkOf(t *target, cols []int, as arrays) *chunk {
	c := &s.chunk
	c.cols, c.as, c.forms = cols, as, c.forms[:0]
	for _, k := range cols {
		c.forms = append(c.forms, as.form(&t.cols[k]))
	}
	c.reset()
	return c
}

// chunkOfTexts empties it for rows of n texts.
func (s *Sink) chunkOfTexts(n int) *chunk {
	c := &s.chunk
	c.cols, c.as, c.forms = make([]int, n), texts, slices.Repeat([]*form{textForm}, n)
	for i := range n {
		c.cols[i] = i
	}
	c.reset()
	return c
}

// reset takes the rows out, and leaves the types of the arrays.
func (c *chunk) reset() {
	c.empty()
	clear(c.rows)
	c.rows = c.rows[:0]
}

// empty leaves of each array its header, and its memory unless a value was huge.
func (c *chunk) empty() {
	for len(c.arrays) < len(c.forms) {
		c.arrays = append(c.arrays, nil)
	}
	for i := range c.forms {
		a := c.arrays[i][:0]
		if cap(a) > chunkBytes {
			a = nil
		}
		c.arrays[i] = append(a, make([]byte, arrayHeader)...)
	}
	c.bytes = 0
}

func (c *chunk) full() bool { return len(c.rows) == chunkRows || c.bytes >= chunkBytes }

// add appends a row.
func (c *chunk) add(row change.Row) {
	c.rows = append(c.rows, row)
	if c.append(row) {
		return
	}
	for i := range c.forms {
		c.forms[i] = textForm
	}
	c.as = texts
	c.empty()
	for _, r := range c.rows {
		c.append(r)
	}
}

// append adds the values of a row, and tells whether all of them have the arrays' forms.
func (c *chunk) append(row change.Row) bool {
	for i, k := range c.cols {
		from := len(c.arrays[i])
		a, ok := appendValue(c.arrays[i], c.forms[i], row[k])
		c.arrays[i] = a
		if !ok {
			return false
		}
		c.bytes += len(a) - from
	}
	return true
}

// appendValue appends a value behind its length, -1 for NULL, as arrays and COPY have it.
func appendValue(dst []byte, f *form, v change.Value) ([]byte, bool) {
	if v.Format == change.Null {
		return append(dst, 0xff, 0xff, 0xff, 0xff), true
	}
	from := len(dst) + 4
	dst, ok := f.append(append(dst, 0, 0, 0, 0), v.Data)
	if ok {
		binary.BigEndian.PutUint32(dst[from-4:], uint32(len(dst)-from))
	}
	return dst, ok
}

// args gives the parameters and their formats, extra ones in text form.
func (c *chunk) args(extra [][]byte) ([][]byte, []int16) {
	c.argbuf, c.formats = c.argbuf[:0], c.formats[:0]
	for i, f := range c.forms {
		a := c.arrays[i]
		binary.BigEndian.PutUint32(a[0:], 1)
		binary.BigEndian.PutUint32(a[4:], 1)
		binary.BigEndian.PutUint32(a[8:], f.oid)
		binary.BigEndian.PutUint32(a[12:], uint32(len(c.rows)))
		binary.BigEndian.PutUint32(a[16:], 1)
		c.argbuf, c.formats = append(c.argbuf, a), append(c.formats, 1)
	}
	for _, e := range extra {
		c.argbuf, c.formats = append(c.argbuf, e), append(c.formats, 0)
	}
	return c.argbuf, c.formats
}
