package avro

import (
	"encoding/binary"
	"strconv"
)

// numeric is the binary form of a numeric (numeric_send): base-10000 digits, the weight of the first
// of them, a sign and the number of decimal digits shown after the point.
type numeric struct {
	digits []byte // two bytes each, big-endian
	weight int
	sign   uint16
	scale  int
}

// The signs of a numeric (src/backend/utils/adt/numeric.c).
const (
	numericPositive = 0x0000
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericInfinity = 0xD000
	numericNegInf   = 0xF000
)

func parseNumeric(b []byte) (numeric, error) {
	if len(b) < 8 {
		return numeric{}, errForm
	}
	n := numeric{
		digits: b[8:],
		weight: int(int16(binary.BigEndian.Uint16(b[2:]))),
		sign:   binary.BigEndian.Uint16(b[4:]),
		scale:  int(binary.BigEndian.Uint16(b[6:])),
	}
	if len(n.digits) != 2*int(binary.BigEndian.Uint16(b)) {
		return numeric{}, errForm
	}
	return n, nil
}

func (n *numeric) count() int { return len(n.digits) / 2 }

func (n *numeric) digit(i int) int { return int(binary.BigEndian.Uint16(n.digits[2*i:])) }

// at gives the digit of a weight, 0 outside those that are written.
func (n *numeric) at(weight int) int {
	if i := n.weight - weight; i >= 0 && i < n.count() {
		return n.digit(i)
	}
	return 0
}

// numericFromBinary writes the text of a numeric without precision.
func numericFromBinary(c *codec, dst, src []byte) ([]byte, error) {
	mark := len(dst)
	dst, err := numericText(c, append(dst, 0), src)
	if err != nil {
		return dst, err
	}
	return measure(dst, mark), nil
}

// numericText appends what numeric_out prints.
func numericText(_ *codec, dst, src []byte) ([]byte, error) {
	n, err := parseNumeric(src)
	if err != nil {
		return dst, err
	}
	switch n.sign {
	case numericNaN:
		return append(dst, "NaN"...), nil
	case numericInfinity:
		return append(dst, "Infinity"...), nil
	case numericNegInf:
		return append(dst, "-Infinity"...), nil
	case numericNegative:
		dst = append(dst, '-')
	}
	dst = appendWhole(dst, &n)
	if n.scale == 0 {
		return dst, nil
	}
	return appendFraction(append(dst, '.'), &n), nil
}

func appendWhole(dst []byte, n *numeric) []byte {
	if n.weight < 0 || n.count() == 0 {
		return append(dst, '0')
	}
	dst = strconv.AppendInt(dst, int64(n.at(n.weight)), 10)
	for w := n.weight - 1; w >= 0; w-- {
		dst = appendFour(dst, n.at(w))
	}
	return dst
}

func appendFraction(dst []byte, n *numeric) []byte {
	end := len(dst) + n.scale
	for w := -1; len(dst) < end; w-- {
		dst = appendFour(dst, n.at(w))
	}
	return dst[:end]
}

func appendFour(dst []byte, d int) []byte {
	return append(dst, '0'+byte(d/1000%10), '0'+byte(d/100%10), '0'+byte(d/10%10), '0'+byte(d%10))
}
