package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/sluicecdc/sluice/internal/change"
)

// appendValue writes a value as JSON. Numbers are JSON numbers with the digits of PostgreSQL's text, whatever their
// size: nothing passes through floating point. What JSON has no number for (NaN, infinities) is a string. json and
// jsonb stand as they are, arrays are arrays, timestamps are those of RFC 3339 (its years have four digits: others
// stay as PostgreSQL writes them), and all else is PostgreSQL's text.
func appendValue(dst []byte, t *change.Type, v change.Value) ([]byte, error) {
	if v.Format == change.Null {
		return append(dst, "null"...), nil
	}
	return appendText(dst, t, v.Data)
}

func appendText(dst []byte, t *change.Type, s []byte) ([]byte, error) {
	switch t.Kind {
	case change.Bool:
		return appendBool(dst, s)
	case change.Int2, change.Int4, change.Int8, change.OID:
		if !isNumber(s) {
			return dst, fmt.Errorf("%q is not a whole number", s)
		}
		return append(dst, s...), nil
	case change.Numeric, change.Float4, change.Float8:
		return appendNumber(dst, s)
	case change.JSON, change.JSONB:
		if !json.Valid(s) {
			return dst, errors.New("it is not valid JSON")
		}
		return append(dst, bytes.TrimSpace(s)...), nil
	case change.Timestamp, change.TimestampTZ:
		return appendString(dst, rfc3339(s, t.Kind == change.TimestampTZ))
	case change.Array:
		return appendArray(dst, t.Elem, s)
	}
	return appendString(dst, s)
}

func appendBool(dst, s []byte) ([]byte, error) {
	switch string(s) {
	case "t", "true":
		return append(dst, "true"...), nil
	case "f", "false":
		return append(dst, "false"...), nil
	}
	return dst, fmt.Errorf("%q is not a boolean", s)
}

func appendNumber(dst, s []byte) ([]byte, error) {
	if isNumber(s) {
		return append(dst, s...), nil
	}
	switch string(s) {
	case "NaN", "Infinity", "-Infinity":
		return appendString(dst, s)
	}
	return dst, fmt.Errorf("%q is not a number", s)
}

func appendString(dst, s []byte) ([]byte, error) {
	if !utf8.Valid(s) {
		return dst, errors.New("it is not UTF-8, which JSON is")
	}
	b, err := json.Marshal(string(s))
	return append(dst, b...), err
}

// isNumber follows the grammar of RFC 8259, 6.
func isNumber(s []byte) bool {
	s = bytes.TrimPrefix(s, []byte("-"))
	whole, rest := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	if len(rest) > 0 && rest[0] == '.' {
		var n int
		if n, rest = digits(rest[1:]); n == 0 {
			return false
		}
	}
	if len(rest) > 0 && (rest[0] == 'e' || rest[0] == 'E') {
		rest = rest[1:]
		if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		var n int
		if n, rest = digits(rest); n == 0 {
			return false
		}
	}
	return len(rest) == 0
}

func digits(s []byte) (n int, rest []byte) {
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n, s[n:]
}

// rfc3339 turns 2024-01-31 12:00:00.5+00 into 2024-01-31T12:00:00.5Z.
func rfc3339(s []byte, zone bool) []byte {
	const space = len("2024-01-31")
	if len(s) <= space || s[space] != ' ' || bytes.HasSuffix(s, []byte(" BC")) {
		return s // an infinity, or a year that RFC 3339 does not have
	}
	out := bytes.Clone(s)
	out[space] = 'T'
	if head, ok := bytes.CutSuffix(out, []byte("+00")); ok && zone {
		return append(head, 'Z')
	}
	return out
}
