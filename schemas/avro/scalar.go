package avro

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
)

func boolFromText(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) == 1 && (src[0] == 't' || src[0] == 'f') {
		return append(dst, b2i(src[0] == 't')), nil
	}
	return dst, errForm
}

func boolFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 1 {
		return dst, errForm
	}
	return append(dst, b2i(src[0] != 0)), nil
}

func b2i(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func intFromText(_ *codec, dst, src []byte) ([]byte, error) {
	v, err := strconv.ParseInt(string(src), 10, 64)
	if err != nil {
		return dst, errForm
	}
	return appendLong(dst, v), nil
}

// intFromBinary takes int2, int4 and int8: the length tells them apart.
func intFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	switch len(src) {
	case 8:
		return appendLong(dst, int64(binary.BigEndian.Uint64(src))), nil
	case 4:
		return appendLong(dst, int64(int32(binary.BigEndian.Uint32(src)))), nil
	case 2:
		return appendLong(dst, int64(int16(binary.BigEndian.Uint16(src)))), nil
	}
	return dst, errForm
}

func oidFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 4 {
		return dst, errForm
	}
	return appendLong(dst, int64(binary.BigEndian.Uint32(src))), nil
}

// byteaFromText reads the hex format (session setting bytea_output).
func byteaFromText(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) < 2 || src[0] != '\\' || src[1] != 'x' || len(src)%2 != 0 {
		return dst, errForm
	}
	dst = appendLong(dst, int64(len(src)-2)/2)
	dst, err := hex.AppendDecode(dst, src[2:])
	if err != nil {
		return dst, errForm
	}
	return dst, nil
}

// jsonbFromBinary drops the version byte, 1 in all releases, before the text (jsonb_send).
func jsonbFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) < 1 || src[0] != 1 {
		return dst, errForm
	}
	return textFromText(nil, dst, src[1:])
}

func uuidFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 16 {
		return dst, errForm
	}
	dst = append(dst, 36<<1)
	for i, b := range src {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = appendHex(dst, b)
	}
	return dst, nil
}

// charFromBinary writes what charout does: nothing for a zero byte, and three octal digits after a
// backslash for what is not ASCII.
func charFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	switch {
	case len(src) != 1:
		return dst, errForm
	case src[0] == 0:
		return append(dst, 0), nil
	case src[0] < 0x80:
		return append(dst, 1<<1, src[0]), nil
	}
	return append(dst, 4<<1, '\\', '0'+src[0]>>6, '0'+src[0]>>3&7, '0'+src[0]&7), nil
}

const hexDigits = "0123456789abcdef"

func appendHex(dst []byte, b byte) []byte { return append(dst, hexDigits[b>>4], hexDigits[b&15]) }

// bitFromBinary writes one digit a bit; the length in bits stands first (bit_send).
func bitFromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) < 4 {
		return dst, errForm
	}
	n := int64(int32(binary.BigEndian.Uint32(src)))
	src = src[4:]
	if n < 0 || int64(len(src)) != (n+7)/8 {
		return dst, errForm
	}
	dst = appendLong(dst, n)
	for i := range n {
		dst = append(dst, '0'+src[i/8]>>(7-i%8)&1)
	}
	return dst, nil
}

func float4FromText(_ *codec, dst, src []byte) ([]byte, error) {
	v, err := strconv.ParseFloat(string(src), 32)
	if err != nil {
		return dst, errForm
	}
	return appendFloat4(dst, float32(v)), nil
}

func float8FromText(_ *codec, dst, src []byte) ([]byte, error) {
	v, err := strconv.ParseFloat(string(src), 64)
	if err != nil {
		return dst, errForm
	}
	return appendFloat8(dst, v), nil
}

func float4FromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 4 {
		return dst, errForm
	}
	return appendFloat4(dst, math.Float32frombits(binary.BigEndian.Uint32(src))), nil
}

func float8FromBinary(_ *codec, dst, src []byte) ([]byte, error) {
	if len(src) != 8 {
		return dst, errForm
	}
	return appendFloat8(dst, math.Float64frombits(binary.BigEndian.Uint64(src))), nil
}

// All NaNs are one value to PostgreSQL, so they get one form.
func appendFloat4(dst []byte, v float32) []byte {
	bits := math.Float32bits(v)
	if v != v {
		bits = 0x7fc00000
	}
	return binary.LittleEndian.AppendUint32(dst, bits)
}

func appendFloat8(dst []byte, v float64) []byte {
	bits := math.Float64bits(v)
	if v != v {
		bits = 0x7ff8000000000000
	}
	return binary.LittleEndian.AppendUint64(dst, bits)
}
