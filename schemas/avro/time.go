package avro

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
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

// timestampFromText reads both kinds of timestamp: one without a zone counts as UTC.
func timestampFromText(_ *codec, dst, src []byte) ([]byte, error) {
	if isInfinity(src) {
		return dst, errSpecial
	}
	text, bc := cutEra(src)
	s := scanner{text, true}
	days := s.date(bc)
	s.want(' ')
	ofDay := s.clock() - s.zone()
	if !s.done() {
		return dst, errForm
	}
	micros, fits := addDays(days, ofDay)
	if !fits {
		return dst, errSpecial
	}
	return appendLong(dst, micros), nil
}

func addDays(days, micros int64) (sum int64, fits bool) {
	days += floorDiv(micros, microsPerDay)
	micros -= floorDiv(micros, microsPerDay) * microsPerDay
	if days < 0 { // keep both of one sign, so that their sum alone can overflow
		days, micros = days+1, micros-microsPerDay
	}
	hi, lo := bits.Mul64(uint64(max(days, -days)), microsPerDay)
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	whole := int64(lo)
	if days < 0 {
		whole = -whole
	}
	sum = whole + micros
	return sum, (sum >= whole) == (micros >= 0)
}

func timestampFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 8 {
		return dst, errForm
	}
	v := int64(binary.BigEndian.Uint64(src))
	if v > math.MaxInt64-epochMicros || v == math.MinInt64 {
		return dst, errSpecial
	}
	return appendLong(dst, v+epochMicros), nil
}

// timestampSpecial prints infinities, and the last years that PostgreSQL has and microseconds since
// 1970 do not reach: from 294247-01-10 on.
func timestampSpecial(c *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 8 {
		return dst, errForm
	}
	v := int64(binary.BigEndian.Uint64(src))
	if v == math.MaxInt64 || v == math.MinInt64 {
		return appendInfinity(dst, v > 0), nil
	}
	days := floorDiv(v, microsPerDay)
	return appendTimestamp(dst, days+epochDays, v-days*microsPerDay, c.zone()), nil
}

func appendTimestamp(dst []byte, days, ofDay int64, zone string) []byte {
	dst, bc := appendDate(dst, days)
	dst = appendClock(append(dst, ' '), ofDay)
	return appendEra(append(dst, zone...), bc)
}

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
