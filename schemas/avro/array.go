package avro

import (
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/sluicecdc/sluice/schemas"
)

// maxDimensions is PostgreSQL's MAXDIM.
const maxDimensions = 6

func (c *codec) setArray() error {
	elem, err := newCodec(*c.typ.Elem)
	if err != nil {
		return err
	}
	c.elem = elem
	c.text, c.binary, c.special = arrayFromText, arrayFromBinary, arrayText
	c.print = printArray
	return nil
}

func (c *codec) delimiter() byte { return schemas.Delimiter(&c.elem.typ) }

// array is the binary form of an array (array_send).
type array struct {
	dims, bounds [maxDimensions]int
	ndim         int
	items        []byte // each its length, -1 for NULL, and its bytes
}

func parseArray(b []byte) (a array, err error) {
	if len(b) < 12 {
		return a, errForm
	}
	a.ndim = int(binary.BigEndian.Uint32(b))
	a.items = b[12:]
	if a.ndim > maxDimensions || len(a.items) < 8*a.ndim {
		return a, errForm
	}
	for i := range a.ndim {
		a.dims[i] = int(int32(binary.BigEndian.Uint32(a.items[8*i:])))
		a.bounds[i] = int(int32(binary.BigEndian.Uint32(a.items[8*i+4:])))
		if a.dims[i] < 1 || a.dims[i] > len(b) {
			return a, errForm
		}
	}
	a.items = a.items[8*a.ndim:]
	return a, nil
}

// next gives the next element, nil for NULL.
func (a *array) next() (item []byte, err error) {
	if len(a.items) < 4 {
		return nil, errForm
	}
	n := int(int32(binary.BigEndian.Uint32(a.items)))
	a.items = a.items[4:]
	if n == -1 {
		return nil, nil
	}
	if n < 0 || n > len(a.items) {
		return nil, errForm
	}
	item, a.items = a.items[:n:n], a.items[n:]
	return item, nil
}

// arrayFromBinary writes a one-dimensional array that begins at 1, or an empty one.
func arrayFromBinary(c *codec, dst, src []byte) ([]byte, error) {
	a, err := parseArray(src)
	if err != nil {
		return dst, err
	}
	if a.ndim == 0 {
		return append(dst, 0), nil
	}
	if a.ndim > 1 || a.bounds[0] != 1 {
		return dst, errSpecial
	}
	dst = appendLong(dst, int64(a.dims[0]))
	for range a.dims[0] {
		item, err := a.next()
		if err != nil {
			return dst, err
		}
		if item == nil {
			dst = append(dst, branchNull)
			continue
		}
		if dst, err = c.elem.binary(c.elem, append(dst, branchValue), item); err != nil {
			return dst, err
		}
	}
	return append(dst, 0), nil
}

// arrayText prints what array_out does, for arrays of any shape.
func arrayText(c *codec, dst, src []byte) ([]byte, error) {
	a, err := parseArray(src)
	if err != nil {
		return dst, err
	}
	return c.appendDimension(appendBounds(dst, &a), &a, 0)
}

// appendBounds prints [1:2][0:3]= when a dimension does not begin at 1.
func appendBounds(dst []byte, a *array) []byte {
	plain := true
	for i := range a.ndim {
		plain = plain && a.bounds[i] == 1
	}
	if plain {
		return dst
	}
	for i := range a.ndim {
		dst = strconv.AppendInt(append(dst, '['), int64(a.bounds[i]), 10)
		dst = strconv.AppendInt(append(dst, ':'), int64(a.bounds[i]+a.dims[i]-1), 10)
		dst = append(dst, ']')
	}
	return append(dst, '=')
}

func (c *codec) appendDimension(dst []byte, a *array, dim int) (_ []byte, err error) {
	dst = append(dst, '{')
	for i := range a.dims[dim] {
		if i > 0 {
			dst = append(dst, c.delimiter())
		}
		if dim+1 < a.ndim {
			dst, err = c.appendDimension(dst, a, dim+1)
		} else {
			dst, err = c.appendItem(dst, a)
		}
		if err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func (c *codec) appendItem(dst []byte, a *array) ([]byte, error) {
	item, err := a.next()
	if err != nil {
		return dst, err
	}
	if item == nil {
		return append(dst, "NULL"...), nil
	}
	mark := len(dst)
	if dst, err = c.elem.textOfBinary(dst, item); err != nil {
		return dst, err
	}
	return c.quote(dst, mark), nil
}

// textOfBinary prints a value in binary form: through its Avro form, unless that cannot hold it.
func (c *codec) textOfBinary(dst, src []byte) ([]byte, error) {
	form, err := c.binary(c, nil, src)
	if errors.Is(err, errSpecial) {
		return c.special(c, dst, src)
	}
	if err != nil {
		return dst, err
	}
	r := reader{b: form}
	dst = c.print(c, dst, &r)
	return dst, r.end()
}

// quote puts what stands from mark on into double quotes where array_out would.
func (c *codec) quote(dst []byte, mark int) []byte {
	if !needsQuotes(dst[mark:], c.delimiter()) {
		return dst
	}
	c.scratch = append(c.scratch[:0], dst[mark:]...)
	dst = append(dst[:mark], '"')
	for _, b := range c.scratch {
		if b == '"' || b == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}

func needsQuotes(b []byte, delimiter byte) bool {
	if len(b) == 0 || isNull(b) {
		return true
	}
	for _, x := range b {
		switch x {
		case '"', '\\', '{', '}', delimiter, ' ', '\t', '\n', '\r', '\v', '\f':
			return true
		}
	}
	return false
}

func isNull(b []byte) bool {
	return len(b) == 4 && b[0]|0x20 == 'n' && b[1]|0x20 == 'u' && b[2]|0x20 == 'l' && b[3]|0x20 == 'l'
}

// printArray prints the Avro form of an array.
func printArray(c *codec, dst []byte, r *reader) []byte {
	dst = append(dst, '{')
	first := true
	for n := r.count(); n > 0; n = r.count() {
		for ; n > 0 && r.err == nil; n-- {
			if !first {
				dst = append(dst, c.delimiter())
			}
			first = false
			dst = c.printItem(dst, r)
		}
	}
	return append(dst, '}')
}

func (c *codec) printItem(dst []byte, r *reader) []byte {
	switch r.long() {
	case 0:
		return append(dst, "NULL"...)
	case 1:
		mark := len(dst)
		return c.quote(c.elem.print(c.elem, dst, r), mark)
	}
	r.fail(errBranch)
	return dst
}
