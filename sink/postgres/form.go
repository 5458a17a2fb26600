package postgres

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"time"
)

// form is the binary form of a type, which the server takes for half of the work that the text costs it: that of the
// type's receive function in PostgreSQL's source.
type form struct {
	oid uint32
	// append gives ok false for a text that it does not know in every detail: such a value travels as text, and means
	// or is refused as what the server says.
	append func(dst, text []byte) (out []byte, ok bool)
}

// forms has the types of which a table may consist that is copied in binary, by their base type.
var forms = map[string]*form{
	"bigint":                      {20, appendInt64},
	"boolean":                     {16, appendBool},
	"bytea":                       {17, appendBytea},
	"character varying":           {1043, appendText},
	"date":                        {1082, appendDate},
	"double precision":            {701, appendFloat64},
	"integer":                     {23, appendInt32},
	"json":                        {114, appendText},
	"jsonb":                       {3802, appendJSONB},
	"numeric":                     {1700, appendNumeric},
	"real":                        {700, appendFloat32},
	"smallint":                    {21, appendInt16},
	"text":                        {oidText, appendText},
	"timestamp with time zone":    {1184, appendTimestampTZ},
	"timestamp without time zone": {1114, appendTimestamp},
	"uuid":                        {2950, appendUUID},
}

const oidText = 25

// textForm is that of every type which has no form here: its texts are cast.
var textForm = forms["text"]

func appendText(dst, text []byte) ([]byte, bool) { return append(dst, text...), true }

func appendJSONB(dst, text []byte) ([]byte, bool) {
	const version = 1
	return append(append(dst, version), text...), true
}

func appendBool(dst, text []byte) ([]byte, bool) {
	switch string(text) {
	case "t":
		return append(dst, 1), true
	case "f":
		return append(dst, 0), true
	}
	return dst, false
}

func appendInt16(dst, text []byte) ([]byte, bool) {
	v, err := strconv.ParseInt(string(text), 10, 16)
	return binary.BigEndian.AppendUint16(dst, uint16(v)), err == nil
}

func appendInt32(dst, text []byte) ([]byte, bool) {
	v, err := strconv.ParseInt(string(text), 10, 32)
	return binary.BigEndian.AppendUint32(dst, uint32(v)), err == nil
}

func appendInt64(dst, text []byte) ([]byte, bool) {
	v, err := strconv.ParseInt(string(text), 10, 64)
	return binary.BigEndian.AppendUint64(dst, uint64(v)), err == nil
}

func appendFloat32(dst, text []byte) ([]byte, bool) {
	v, err := strconv.ParseFloat(string(text), 32)
	return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(v))), err == nil
}

func appendFloat64(dst, text []byte) ([]byte, bool) {
	v, err := strconv.ParseFloat(string(text), 64)
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(v)), err == nil
}

func appendBytea(dst, text []byte) ([]byte, bool) {
	digits, ok := bytes.CutPrefix(text, []byte(`\x`))
	if !ok {
		return dst, false
	}
	dst, err := hex.AppendDecode(dst, digits)
	return dst, err == nil
}

func appendUUID(dst, text []byte) ([]byte, bool) {
	if len(text) != 36 {
		return dst, false
	}
	for i, group := range [][]byte{text[:8], text[9:13], text[14:18], text[19:23], text[24:]} {
		if at := 8 + 5*i; i < 4 && text[at] != '-' {
			return dst, false
		}
		var err error
		if dst, err = hex.AppendDecode(dst, group); err != nil {
			return dst, false
		}
	}
	return dst, true
}

// The epoch of dates and timestamps is 2000-01-01.
const (
	epochSeconds = 946_684_800 // since 1970
	daySeconds   = 86_400
)

func appendDate(dst, text []byte) ([]byte, bool) {
	if past, is := infinite(text); is {
		return binary.BigEndian.AppendUint32(dst, uint32(pick[int32](past, math.MinInt32, math.MaxInt32))), true
	}
	t, rest, ok := cutDate(text)
	return binary.BigEndian.AppendUint32(dst, uint32((t.Unix()-epochSeconds)/daySeconds)), ok && len(rest) == 0
}

func appendTimestamp(dst, text []byte) ([]byte, bool) { return appendMicros(dst, text, "") }

func appendTimestampTZ(dst, text []byte) ([]byte, bool) { return appendMicros(dst, text, "+00") }

func appendMicros(dst, text []byte, zone string) ([]byte, bool) {
	if past, is := infinite(text); is {
		return binary.BigEndian.AppendUint64(dst, uint64(pick[int64](past, math.MinInt64, math.MaxInt64))), true
	}
	day, rest, ok := cutDate(text)
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return dst, false
	}
	micros, rest, ok := cutClock(rest[1:])
	sum := (day.Unix()-epochSeconds)*1_000_000 + micros
	return binary.BigEndian.AppendUint64(dst, uint64(sum)), ok && string(rest) == zone
}

func infinite(text []byte) (past, is bool) {
	past = string(text) == "-infinity"
	return past, past || string(text) == "infinity"
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// cutDate reads a date of the years 1 to 9999.
func cutDate(text []byte) (day time.Time, rest []byte, ok bool) {
	if len(text) < 10 || text[4] != '-' || text[7] != '-' {
		return day, text, false
	}
	y, m, d := number(text[:4]), number(text[5:7]), number(text[8:10])
	if y < 1 || m < 1 || d < 1 {
		return day, text, false
	}
	day = time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	return day, text[10:], day.Day() == d && day.Month() == time.Month(m)
}

// cutClock reads a time of day with up to six digits after the second.
func cutClock(text []byte) (micros int64, rest []byte, ok bool) {
	if len(text) < 8 || text[2] != ':' || text[5] != ':' {
		return 0, text, false
	}
	h, m, s := number(text[:2]), number(text[3:5]), number(text[6:8])
	if h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59 {
		return 0, text, false
	}
	micros, rest = int64(h*3600+m*60+s)*1_000_000, text[8:]
	if len(rest) == 0 || rest[0] != '.' {
		return micros, rest, true
	}
	rest = rest[1:]
	unit, digits := int64(100_000), 0
	for ; digits < len(rest) && isDigit(rest[digits]); digits++ {
		micros += int64(rest[digits]-'0') * unit
		unit /= 10
	}
	return micros, rest[digits:], digits > 0 && digits <= 6
}

// number reads digits, and gives -1 where there is another byte.
func number(digits []byte) int {
	n := 0
	for _, c := range digits {
		if !isDigit(c) {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// Bounds of a numeric's text (PostgreSQL manual, 8.1.2).
const (
	numericWhole    = 131_072
	numericFraction = 16_383
)

// appendNumeric writes base-10000 digits, behind their count, the weight of the first, the sign and the number of decimal
// digits after the point (numeric_recv). NaN and infinities are left to the text.
func appendNumeric(dst, text []byte) ([]byte, bool) {
	digits, minus := bytes.CutPrefix(text, []byte("-"))
	whole, fraction, _ := bytes.Cut(digits, []byte("."))
	if len(whole) == 0 || len(whole) > numericWhole || len(fraction) > numericFraction || len(digits) == len(whole)+1 {
		return dst, false
	}
	count := (len(whole)+3)/4 + (len(fraction)+3)/4
	dst = binary.BigEndian.AppendUint16(dst, uint16(count))
	dst = binary.BigEndian.AppendUint16(dst, uint16((len(whole)+3)/4-1))
	dst = binary.BigEndian.AppendUint16(dst, pick[uint16](minus, 0x4000, 0))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(fraction)))
	first := (len(whole)-1)%4 + 1
	for from, to := 0, first; to <= len(whole); from, to = to, to+4 {
		n := number(whole[from:to])
		if n < 0 {
			return dst, false
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	}
	for len(fraction) > 0 {
		n := number(fraction[:min(4, len(fraction))])
		if n < 0 {
			return dst, false
		}
		for i := len(fraction); i < 4; i++ {
			n *= 10
		}
		dst, fraction = binary.BigEndian.AppendUint16(dst, uint16(n)), fraction[min(4, len(fraction)):]
	}
	return dst, true
}
