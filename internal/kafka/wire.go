package kafka

import (
	"encoding/binary"
	"errors"
)

// appendHeader begins a request: room for the length, key, version, correlation id and client id
// (protocol guide, request header v1).
func appendHeader(dst []byte, key, version int16, id int32) []byte {
	be := binary.BigEndian
	dst = append(dst, 0, 0, 0, 0)
	dst = be.AppendUint16(dst, uint16(key))
	dst = be.AppendUint16(dst, uint16(version))
	dst = be.AppendUint32(dst, uint32(id))
	return appendString(dst, clientID)
}

func appendString(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

func appendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }
func appendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

var errShort = errors.New("answer ends too early")

// answer reads the fields of an answer. After the first one that is missing every read gives zero.
type answer struct {
	b   []byte
	bad bool
}

func (a *answer) take(n int) []byte {
	if a.bad || n < 0 || n > len(a.b) {
		a.bad = true
		return nil
	}
	v := a.b[:n]
	a.b = a.b[n:]
	return v
}

func (a *answer) int16() int16 {
	if v := a.take(2); v != nil {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (a *answer) int32() int32 {
	if v := a.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (a *answer) int64() int64 {
	if v := a.take(8); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// string reads a string; null gives nil.
func (a *answer) string() []byte {
	n := a.int16()
	if n < 0 {
		return nil
	}
	return a.take(int(n))
}

// bytes reads bytes; null gives nil.
func (a *answer) bytes() []byte {
	n := a.int32()
	if n < 0 {
		return nil
	}
	return a.take(int(n))
}

// count reads the length of an array whose elements take at least size bytes each.
func (a *answer) count(size int) int {
	n := int(a.int32())
	if n > len(a.b)/size {
		a.bad = true
	}
	if n < 0 || a.bad {
		return 0
	}
	return n
}

func (a *answer) err() error {
	if a.bad {
		return errShort
	}
	return nil
}
