package avro

import (
	"encoding/binary"
	"math"
)

func dateFromText(_ *codec, dst, src []byte) ([]byte, error) {
	if isInfinity(src) {
		return dst, errSpecial
	}
	text, bc := cutEra(src)
	s := scanner{text, true}
	days := s.date(bc)
	if !s.done() {
		return dst, errForm
	}
	if days != int64(int32(days)) {
		return dst, errSpecial
	}
	return appendLong(dst, days), nil
}

func dateFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 4 {
		return dst, errForm
	}
	v := int32(binary.BigEndian.Uint32(src))
	if v == math.MaxInt32 || v == math.MinInt32 {
		return dst, errSpecial
	}
	days := int64(v) + epochDays
	if days != int64(int32(days)) {
		return dst, errSpecial
	}
	return appendLong(dst, days), nil
}

func dateSpecial(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 4 {
		return dst, errForm
	}
	v := int32(binary.BigEndian.Uint32(src))
	if v == math.MaxInt32 || v == math.MinInt32 {
		return appendInfinity(dst, v > 0), nil
	}
	dst, bc := appendDate(dst, int64(v)+epochDays)
	return appendEra(dst, bc), nil
}

func appendInfinity(dst []byte, positive bool) []byte {
	if !positive {
		dst = append(dst, '-')
	}
	return append(dst, "infinity"...)
}
