package avro

import (
	"encoding/binary"
	"math"
	"strconv"
)

// intervalFromBinary writes ISO 8601 as PostgreSQL does with IntervalStyle iso_8601: months are
// shown as years and months, days stay days, the time has hours, minutes and seconds; each with a
// sign of its own.
func intervalFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 16 {
		return dst, errForm
	}
	micros := int64(binary.BigEndian.Uint64(src))
	days := int64(int32(binary.BigEndian.Uint32(src[8:])))
	months := int64(int32(binary.BigEndian.Uint32(src[12:])))
	mark := len(dst)
	dst = appendInterval(append(dst, 0), months, days, micros)
	return measure(dst, mark), nil
}

func appendInterval(dst []byte, months, days, micros int64) []byte {
	switch {
	case months == 0 && days == 0 && micros == 0:
		return append(dst, "PT0S"...)
	case months == math.MaxInt32 && days == math.MaxInt32 && micros == math.MaxInt64:
		return append(dst, "infinity"...) // from PostgreSQL 17
	case months == math.MinInt32 && days == math.MinInt32 && micros == math.MinInt64:
		return append(dst, "-infinity"...)
	}
	dst = append(dst, 'P')
	dst = appendPart(dst, months/12, 'Y')
	dst = appendPart(dst, months%12, 'M')
	dst = appendPart(dst, days, 'D')
	if micros == 0 {
		return dst
	}
	dst = append(dst, 'T')
	dst = appendPart(dst, micros/(3600*microsPerSecond), 'H')
	dst = appendPart(dst, micros/(60*microsPerSecond)%60, 'M')
	rest := micros % (60 * microsPerSecond)
	if rest == 0 {
		return dst
	}
	if rest < 0 {
		dst, rest = append(dst, '-'), -rest
	}
	dst = strconv.AppendInt(dst, rest/microsPerSecond, 10)
	return append(appendMicros(dst, rest%microsPerSecond), 'S')
}

func appendPart(dst []byte, v int64, unit byte) []byte {
	if v == 0 {
		return dst
	}
	return append(strconv.AppendInt(dst, v, 10), unit)
}
