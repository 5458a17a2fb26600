package avro

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// errSpecial says that the Avro type cannot hold the value: it goes to "special" as text.
var errSpecial = errors.New("the value is one that the column's Avro type cannot hold")

var errBinary = errors.New("the value came in binary form and only the text form of its type is known: read the table in text format")

var errEncoding = errors.New("the text is not UTF-8, as Avro's strings are; a database of encoding SQL_ASCII does not watch over that: keep such bytes in a bytea column, correct the value, and start over with a new slot (sluice teardown), since the log keeps the value that it has")

var errForm = errors.New("the bytes are not a value of the column's type")

// encodeFunc appends the Avro form of a value in one of PostgreSQL's forms. After an error the
// caller drops what was appended.
type encodeFunc func(c *codec, dst, src []byte) ([]byte, error)

// codec holds how values of one type are encoded. Not for concurrent use.
type codec struct {
	typ          change.Type
	text, binary encodeFunc
	// special appends PostgreSQL's text of a value in binary form for which binary gave errSpecial.
	special encodeFunc
	// print appends PostgreSQL's text of a value in Avro form.
	print printFunc

	elem    *codec // of an array
	scratch []byte
}

// Binary tells whether the binary form of a type can be encoded. A table with a column that cannot
// is to be read in text format.
func Binary(t change.Type) bool {
	switch t.Kind {
	case change.Opaque, change.Money:
		return false
	case change.Array:
		return t.Elem != nil && Binary(*t.Elem)
	}
	return true
}

func newCodec(t change.Type) (*codec, error) {
	c := &codec{typ: t, text: textFromText, binary: notBinary, special: noSpecial, print: printString}
	switch t.Kind {
	case change.Opaque, change.Money:
	case change.Char:
		c.binary = charFromBinary
	case change.TextLike, change.JSON, change.XML:
		c.binary = textFromText
	case change.JSONB:
		c.binary = jsonbFromBinary
	case change.Bool:
		c.text, c.binary, c.print = boolFromText, boolFromBinary, printBool
	case change.Int2, change.Int4, change.Int8, change.OID:
		c.text, c.binary, c.print = intFromText, intFromBinary, printLong
		if t.Kind == change.OID {
			c.binary = oidFromBinary
		}
	case change.Float4:
		c.text, c.binary, c.print = float4FromText, float4FromBinary, printFloat
	case change.Float8:
		c.text, c.binary, c.print = float8FromText, float8FromBinary, printDouble
	case change.Numeric:
		c.setNumeric()
	case change.Bytea:
		c.text, c.binary, c.print = byteaFromText, bytesFromBinary, printBytea
	case change.Bit:
		c.binary = bitFromBinary
	case change.UUID:
		c.binary = uuidFromBinary
	case change.Date:
		c.text, c.binary, c.special, c.print = dateFromText, dateFromBinary, dateSpecial, printDate
	case change.Time:
		c.text, c.binary, c.print = timeFromText, timeFromBinary, printTime
	case change.TimeTZ:
		c.binary = timeTZFromBinary
	case change.Timestamp:
		c.text, c.binary, c.special, c.print = timestampFromText, timestampFromBinary, timestampSpecial, printTimestamp
	case change.TimestampTZ:
		c.text, c.binary, c.special, c.print = timestampFromText, timestampFromBinary, timestampSpecial, printTimestampTZ
		if t.ISO {
			c.text, c.binary, c.print = isoFromText, isoFromBinary, printISO
		}
	case change.Interval:
		c.binary = intervalFromBinary
	case change.Inet:
		c.binary = inetFromBinary
	case change.MACAddr:
		c.binary = macaddrFromBinary
	case change.PgLSN:
		c.binary = lsnFromBinary
	case change.Array:
		return c, c.setArray()
	default:
		return nil, fmt.Errorf("cannot encode type %s: kind %d is not known", t.Name, t.Kind)
	}
	return c, nil
}

func (c *codec) setNumeric() {
	if schemas.IsDecimal(&c.typ) {
		c.text, c.binary, c.special = decimalFromText, decimalFromBinary, numericText
		c.print = decimalPrinter(c.typ.Scale)
		return
	}
	c.binary = numericFromBinary
}

func notBinary(_ *codec, dst, _ []byte) ([]byte, error) { return dst, errBinary }

func noSpecial(_ *codec, dst, _ []byte) ([]byte, error) { return dst, errForm }

// textFromText takes every type whose Avro form is its own text.
func textFromText(_ *codec, dst, src []byte) ([]byte, error) {
	if !utf8.Valid(src) {
		return dst, errEncoding
	}
	return appendBytes(dst, src), nil
}

// bytesFromBinary takes bytes as they are.
func bytesFromBinary(_ *codec, dst, src []byte) ([]byte, error) { return appendBytes(dst, src), nil }

// measure puts the length of what stands after the byte at mark into it: of a string whose length is
// known only when it is written. Up to 63 bytes the length takes one byte and nothing moves.
func measure(dst []byte, mark int) []byte {
	n := len(dst) - mark - 1
	if n < 64 {
		dst[mark] = byte(n << 1)
		return dst
	}
	var room [10]byte
	length := appendLong(room[:0], int64(n))
	dst = append(dst, length[1:]...)
	copy(dst[mark+len(length):], dst[mark+1:mark+1+n])
	copy(dst[mark:], length)
	return dst
}
