package avro

import (
	"encoding/binary"
	"math"
	"math/bits"
)

func timestampFromText(_ *codec, dst, src []byte) ([]byte, error) {
	micros, err := parseTimestamp(src)
	if err != nil {
		return dst, err
	}
	return appendLong(dst, micros), nil
}

// parseTimestamp reads both kinds of timestamp: one without a zone counts as UTC.
func parseTimestamp(src []byte) (micros int64, err error) {
	if isInfinity(src) {
		return 0, errSpecial
	}
	text, bc := cutEra(src)
	s := scanner{text, true}
	days := s.date(bc)
	s.want(' ')
	ofDay := s.clock() - s.zone()
	if !s.done() {
		return 0, errForm
	}
	micros, fits := addDays(days, ofDay)
	if !fits {
		return 0, errSpecial
	}
	return micros, nil
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
	micros, err := timestampMicros(src)
	if err != nil {
		return dst, err
	}
	return appendLong(dst, micros), nil
}

func timestampMicros(src []byte) (int64, error) {
	if len(src) != 8 {
		return 0, errForm
	}
	v := int64(binary.BigEndian.Uint64(src))
	if v > math.MaxInt64-epochMicros || v == math.MinInt64 {
		return 0, errSpecial
	}
	return v + epochMicros, nil
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
