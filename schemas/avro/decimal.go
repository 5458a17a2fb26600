package avro

import (
	"bytes"
	"math/big"
	"math/bits"
	"strconv"
)

// A decimal is written as Avro bytes: the unscaled value, big-endian two's complement, as short as
// it can be. Values of up to 18 digits take a path without allocation.

// fastDigits is how many decimal digits always fit an int64.
const fastDigits = 18

// fastLimit is 10^fastDigits.
const fastLimit = 1_000_000_000_000_000_000

func decimalFromBinary(c *codec, dst, src []byte) ([]byte, error) {
	n, err := parseNumeric(src)
	if err != nil {
		return dst, err
	}
	if n.sign != numericPositive && n.sign != numericNegative {
		return dst, errSpecial
	}
	u, fits, err := n.unscaled(c.typ.Scale)
	if err != nil {
		return dst, err
	}
	if fits {
		return appendUnscaled(c, dst, u, n.sign == numericNegative)
	}
	c.scratch, err = numericText(c, c.scratch[:0], src)
	if err != nil {
		return dst, err
	}
	return decimalFromText(c, dst, c.scratch)
}

// unscaled gives the magnitude times 10^scale when that is below 10^18. A value with more digits
// after the point than scale is special: nothing is rounded.
func (n *numeric) unscaled(scale int) (u uint64, fits bool, err error) {
	rest := 0 // power of ten of the last digit taken
	for i := range n.count() {
		d, power := uint64(n.digit(i)), (n.weight-i)*4+scale
		if d > 9999 {
			return 0, false, errForm
		}
		if power >= 0 { // the digit is whole
			if u >= fastLimit/10000 {
				return 0, false, nil
			}
			u, rest = u*10000+d, power
			continue
		}
		width := max(0, 4+power) // of its four places, those that are above the last one of the scale
		cut := pow10(4 - width)
		if d%cut != 0 {
			return 0, false, errSpecial
		}
		if u >= fastLimit/pow10(width) {
			return 0, false, nil
		}
		u, rest = u*pow10(width)+d/cut, 0
	}
	if u == 0 || rest == 0 {
		return u, true, nil
	}
	if rest > fastDigits {
		return 0, false, nil
	}
	hi, lo := bits.Mul64(u, pow10(rest))
	return lo, hi == 0 && lo < fastLimit, nil
}

// powers holds the powers of ten that an unsigned integer can.
var powers = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

func pow10(n int) uint64 { return powers[n] }

func decimalFromText(c *codec, dst, src []byte) ([]byte, error) {
	negative := len(src) > 0 && src[0] == '-'
	if negative {
		src = src[1:]
	}
	if len(src) == 0 {
		return dst, errForm
	}
	if src[0] == 'N' || src[0] == 'I' {
		return dst, errSpecial
	}
	whole, fraction, _ := bytes.Cut(src, []byte{'.'})
	if len(fraction) > c.typ.Scale {
		if len(bytes.TrimRight(fraction[c.typ.Scale:], "0")) > 0 {
			return dst, errSpecial
		}
		fraction = fraction[:c.typ.Scale]
	}
	whole = bytes.TrimLeft(whole, "0")
	if len(whole)+c.typ.Scale > fastDigits {
		return bigDecimal(c, dst, whole, fraction, negative)
	}
	u, okWhole := addDigits(0, whole)
	u, okFraction := addDigits(u, fraction)
	if !okWhole || !okFraction {
		return dst, errForm
	}
	return appendUnscaled(c, dst, u*pow10(c.typ.Scale-len(fraction)), negative)
}

func addDigits(u uint64, b []byte) (uint64, bool) {
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, false
		}
		u = u*10 + uint64(d-'0')
	}
	return u, true
}

func appendUnscaled(c *codec, dst []byte, u uint64, negative bool) ([]byte, error) {
	if c.typ.Precision < fastDigits && u >= pow10(c.typ.Precision) {
		return dst, errSpecial
	}
	v := int64(u)
	if negative {
		v = -v
	}
	n := bits.Len64(uint64(v^v>>63))/8 + 1
	dst = append(dst, byte(n<<1))
	for n--; n >= 0; n-- {
		dst = append(dst, byte(v>>(8*n)))
	}
	return dst, nil
}

// bigDecimal takes a value of more digits than an integer holds.
func bigDecimal(c *codec, dst, whole, fraction []byte, negative bool) ([]byte, error) {
	if len(whole)+c.typ.Scale > c.typ.Precision {
		return dst, errSpecial
	}
	text := append(append(make([]byte, 0, len(whole)+c.typ.Scale+1), whole...), fraction...)
	text = append(text, bytes.Repeat([]byte{'0'}, c.typ.Scale-len(fraction))...)
	if _, ok := addDigits(0, text); !ok {
		return dst, errForm
	}
	v, ok := new(big.Int).SetString("0"+string(text), 10)
	if !ok {
		return dst, errForm
	}
	if negative {
		v.Neg(v)
	}
	return appendBytes(dst, twosComplement(v)), nil
}

func twosComplement(v *big.Int) []byte {
	if v.Sign() >= 0 {
		return v.FillBytes(make([]byte, v.BitLen()/8+1))
	}
	n := new(big.Int).Not(v).BitLen()/8 + 1
	v = new(big.Int).Add(v, new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
	return v.FillBytes(make([]byte, n))
}

// maxDecimalBytes holds PostgreSQL's largest precision, 1000 digits: 1000*log2(10)/8 = 415.3.
const maxDecimalBytes = 416

// decimalPrinter prints unscaled values with scale digits after the point.
func decimalPrinter(scale int) printFunc {
	return func(c *codec, dst []byte, r *reader) []byte {
		b := r.bytes()
		if len(b) > maxDecimalBytes {
			r.fail(errForm)
		}
		if r.err != nil {
			return dst
		}
		c.scratch = appendInteger(c.scratch[:0], b)
		return appendPoint(dst, c.scratch, scale)
	}
}

func appendInteger(dst, b []byte) []byte {
	if len(b) <= 8 {
		v := int64(0)
		for i, x := range b {
			if i == 0 {
				v = int64(int8(x))
				continue
			}
			v = v<<8 | int64(x)
		}
		return strconv.AppendInt(dst, v, 10)
	}
	v := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v.Append(dst, 10)
}

func appendPoint(dst, number []byte, scale int) []byte {
	if number[0] == '-' {
		dst, number = append(dst, '-'), number[1:]
	}
	if scale == 0 {
		return append(dst, number...)
	}
	whole := len(number) - scale
	if whole > 0 {
		dst = append(dst, number[:whole]...)
		return append(append(dst, '.'), number[whole:]...)
	}
	dst = append(dst, '0', '.')
	for ; whole < 0; whole++ {
		dst = append(dst, '0')
	}
	return append(dst, number...)
}
