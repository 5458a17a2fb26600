package avro

import (
	"encoding/binary"
)

func timeFromText(_ *codec, dst, src []byte) ([]byte, error) {
	s := scanner{src, true}
	micros := s.clock()
	if !s.done() {
		return dst, errForm
	}
	return appendLong(dst, micros), nil
}

func timeFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 8 {
		return dst, errForm
	}
	return appendLong(dst, int64(binary.BigEndian.Uint64(src))), nil
}

// timeTZFromBinary writes the text of a time with its zone, which the binary form counts in seconds
// west of Greenwich (timetz_send).
func timeTZFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 12 {
		return dst, errForm
	}
	micros, west := int64(binary.BigEndian.Uint64(src)), int64(int32(binary.BigEndian.Uint32(src[8:])))
	if micros < 0 || micros > microsPerDay {
		return dst, errForm
	}
	mark := len(dst)
	dst = appendZone(appendClock(append(dst, 0), micros), -west)
	return measure(dst, mark), nil
}

// appendZone prints +hh, and minutes and seconds where there are any.
func appendZone(dst []byte, east int64) []byte {
	sign := byte('+')
	if east < 0 {
		sign, east = '-', -east
	}
	dst = appendTwo(append(dst, sign), east/3600)
	if east%3600 != 0 {
		dst = appendTwo(append(dst, ':'), east/60%60)
	}
	if east%60 != 0 {
		dst = appendTwo(append(dst, ':'), east%60)
	}
	return dst
}
