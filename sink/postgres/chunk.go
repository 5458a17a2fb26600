package postgres

import (
	"encoding/binary"

	"github.com/sluicecdc/sluice/internal/change"
)

// chunk builds one array parameter a column, in binary form: lengths and bytes, nothing to escape. The form is that of
// array_send in PostgreSQL's source: dimensions, a flag for NULLs, the element type, the dimension's length and lower
// bound, then each element's length (-1 for NULL) and bytes.
type chunk struct {
	forms   []*form // of the arrays
	cols    []int   // where a row has their values
	rows    []change.Row
	arrays  [][]byte
	as      arrays // typed until a value has no binary form
	bytes   int
	argbuf  [][]byte
	formats []int16
}

const arrayHeader = 20

// newChunk makes one of columns of t.
func (t *target) newChunk(cols []int, as arrays) *chunk {
	c := newChunk(len(cols))
	c.cols, c.as = cols, as
	for i, k := range cols {
		c.forms[i] = as.form(&t.cols[k])
	}
	return c
}

// newChunk makes one of rows with n texts.
func newChunk(n int) *chunk {
	c := &chunk{forms: make([]*form, n), cols: make([]int, n), arrays: make([][]byte, n), as: texts}
	for i := range n {
		c.forms[i], c.cols[i] = textForm, i
	}
	c.reset()
	return c
}

// reset empties the arrays, and leaves their types.
func (c *chunk) reset() {
	c.clear()
	c.rows = c.rows[:0]
}

func (c *chunk) clear() {
	for i := range c.arrays {
		c.arrays[i] = append(c.arrays[i][:0], make([]byte, arrayHeader)...)
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
	c.clear()
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
	for i, a := range c.arrays {
		binary.BigEndian.PutUint32(a[0:], 1)
		binary.BigEndian.PutUint32(a[4:], 1)
		binary.BigEndian.PutUint32(a[8:], c.forms[i].oid)
		binary.BigEndian.PutUint32(a[12:], uint32(len(c.rows)))
		binary.BigEndian.PutUint32(a[16:], 1)
		c.argbuf, c.formats = append(c.argbuf, a), append(c.formats, 1)
	}
	for _, e := range extra {
		c.argbuf, c.formats = append(c.argbuf, e), append(c.formats, 0)
	}
	return c.argbuf, c.formats
}
