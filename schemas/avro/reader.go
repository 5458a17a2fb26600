package avro

import (
	"encoding/binary"
	"errors"
	"math"
)

var (
	errShort  = errors.New("the Avro record ends early")
	errVarint = errors.New("an Avro integer is longer than 10 bytes")
	errCount  = errors.New("an Avro list announces more than the record can hold")
	errBranch = errors.New("an Avro union names a branch that the schema does not have")
	errDepth  = errors.New("an Avro record is nested too deeply")
	errTail   = errors.New("the Avro record goes on after its last field")
)

// reader takes an Avro record apart. Its error stays: after the first one every read gives zero.
// Nothing is ever allocated by a length that the record itself announces.
type reader struct {
	b   []byte // what is left
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) long() int64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		u := uint64(r.b[0])
		r.b = r.b[1:]
		return int64(u>>1) ^ -int64(u&1)
	}
	return r.longer()
}

func (r *reader) longer() int64 {
	var u uint64
	for i, c := range r.b {
		if i == 9 && c > 1 || i > 9 {
			r.fail(errVarint)
			return 0
		}
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.b = r.b[i+1:]
			return int64(u>>1) ^ -int64(u&1)
		}
	}
	r.fail(errShort)
	return 0
}

// take gives the next n bytes, a view.
func (r *reader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) bytes() []byte { return r.take(r.long()) }

func (r *reader) bool() bool {
	b := r.take(1)
	return len(b) == 1 && b[0] != 0
}

func (r *reader) float() float32 {
	if b := r.take(4); b != nil {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	return 0
}

func (r *reader) double() float64 {
	if b := r.take(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

// count begins a block of an array or a map and gives its number of items, each of at least one
// byte; 0 ends the list.
func (r *reader) count() int64 {
	n := r.long()
	if n < 0 { // then the block's length in bytes follows
		r.long()
		n = -n
	}
	if n < 0 || n > int64(len(r.b)) {
		r.fail(errCount)
		return 0
	}
	return n
}

// end tells what is wrong: an error before, or bytes that are left.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errTail
	}
	return r.err
}
