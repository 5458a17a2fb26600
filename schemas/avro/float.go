package avro

import (
	"bytes"
	"math"
	"math/bits"
	"strconv"
)

func printFloat(_ *codec, dst []byte, r *reader) []byte {
	return appendFloat(dst, float64(r.float()), 32)
}

func printDouble(_ *codec, dst []byte, r *reader) []byte { return appendFloat(dst, r.double(), 64) }

// appendFloat prints the shortest digits that give the same value again, as float8out does from
// PostgreSQL 12 on: plain up to 15 digits before the point (6 for float4), else with an exponent.
func appendFloat(dst []byte, v float64, size int) []byte {
	switch {
	case v != v:
		return append(dst, "NaN"...)
	case math.IsInf(v, 0):
		if v < 0 {
			dst = append(dst, '-')
		}
		return append(dst, "Infinity"...)
	case v == 0:
		return strconv.AppendFloat(dst, v, 'f', -1, size)
	}
	var room [32]byte
	digits := shortest(room[:0], v, size)
	exponent := exponentOf(digits)
	limit := 15
	if size == 32 {
		limit = 6
	}
	if exponent >= -4 && exponent < limit {
		return strconv.AppendFloat(dst, v, 'f', -1, size)
	}
	return append(dst, digits...)
}

// shortest gives d.ddde±xx. PostgreSQL never takes digits that lie exactly half-way between two
// floats, as 1e23 does, though reading them gives the right one; Go does, so those get more digits.
func shortest(dst []byte, v float64, size int) []byte {
	digits := strconv.AppendFloat(dst, v, 'e', -1, size)
	if !isHalfway(digits, size) {
		return digits
	}
	for precision := mantissaLength(digits); precision < 17; precision++ {
		digits = strconv.AppendFloat(dst, v, 'e', precision, size)
		if again, _ := strconv.ParseFloat(string(digits), size); again == v && !isHalfway(digits, size) {
			break
		}
	}
	return digits
}

// isHalfway tells whether the digits mean an integer whose odd part has one bit more than a float's
// mantissa. A half-way point below the integers has more digits than the shortest form ever has.
func isHalfway(digits []byte, size int) bool {
	mantissa := uint64(0)
	for _, d := range digits[:bytes.IndexByte(digits, 'e')] {
		if d >= '0' && d <= '9' {
			mantissa = mantissa*10 + uint64(d-'0')
		}
	}
	power := exponentOf(digits) - (mantissaLength(digits) - 1)
	if power < 0 || power > 27 || mantissa == 0 {
		return false
	}
	five := uint64(1)
	for range power {
		five *= 5
	}
	hi, odd := bits.Mul64(mantissa>>bits.TrailingZeros64(mantissa), five)
	want := 54
	if size == 32 {
		want = 25
	}
	return hi == 0 && bits.Len64(odd) == want
}

// mantissaLength counts the digits before the e.
func mantissaLength(digits []byte) (n int) {
	for _, d := range digits[:bytes.IndexByte(digits, 'e')] {
		if d >= '0' && d <= '9' {
			n++
		}
	}
	return n
}

func exponentOf(digits []byte) int {
	e, _ := strconv.Atoi(string(digits[bytes.IndexByte(digits, 'e')+1:]))
	return e
}
