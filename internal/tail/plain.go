package tail

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// appendPlain writes a decoded value as JSON for people: unions without their wrapping, decimals as
// text with all their digits, times as ISO 8601, bytes in PostgreSQL's hex form, fields in the
// schema's order.
func (s *schema) appendPlain(dst []byte, v any) []byte {
	switch s.kind {
	case "union":
		return s.appendUnion(dst, v)
	case "record":
		return s.appendRecord(dst, v)
	case "array":
		return s.appendArray(dst, v)
	case "map":
		return s.appendMap(dst, v)
	}
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int32:
		return s.appendInteger(dst, int64(v))
	case int64:
		return s.appendInteger(dst, v)
	case float32:
		return appendFloat(dst, float64(v), 32)
	case float64:
		return appendFloat(dst, v, 64)
	case []byte:
		return s.appendBytes(dst, v)
	case string:
		return appendText(dst, v)
	}
	return append(dst, "null"...)
}

// appendUnion unwraps {"type": value}. Of several types beside null the wrapping's name decides.
func (s *schema) appendUnion(dst []byte, v any) []byte {
	wrapped, ok := v.(map[string]any)
	if !ok || len(wrapped) != 1 {
		return append(dst, "null"...)
	}
	for name, inner := range wrapped {
		for _, o := range s.options {
			if o.kind == name || o.kind != "null" && len(s.options) == 2 {
				return o.appendPlain(dst, inner)
			}
		}
		for _, o := range s.options {
			if _, isRecord := inner.(map[string]any); isRecord && o.kind == "record" {
				return o.appendPlain(dst, inner)
			}
		}
	}
	return append(dst, "null"...)
}

func (s *schema) appendRecord(dst []byte, v any) []byte {
	values, ok := v.(map[string]any)
	if !ok {
		return append(dst, "null"...)
	}
	dst = append(dst, '{')
	for i, f := range s.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, f.name), ':')
		dst = f.of.appendPlain(dst, values[f.name])
	}
	return append(dst, '}')
}

func (s *schema) appendArray(dst []byte, v any) []byte {
	values, _ := v.([]any)
	dst = append(dst, '[')
	for i, item := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = s.items.appendPlain(dst, item)
	}
	return append(dst, ']')
}

func (s *schema) appendMap(dst []byte, v any) []byte {
	values, _ := v.(map[string]any)
	dst = append(dst, '{')
	for i, key := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, key), ':')
		dst = s.items.appendPlain(dst, values[key])
	}
	return append(dst, '}')
}

// The forms of ISO 8601 in which times are printed, to the microsecond only where there is one.
const (
	formTime  = "15:04:05.999999"
	formDate  = "2006-01-02"
	formLocal = formDate + "T" + formTime
	formUTC   = formLocal + "Z"
)

func (s *schema) appendInteger(dst []byte, n int64) []byte {
	switch s.logical {
	case "date":
		return appendTime(dst, time.Unix(n*86400, 0), formDate)
	case "time-micros":
		return appendTime(dst, time.UnixMicro(n), formTime)
	case "timestamp-micros":
		return appendTime(dst, time.UnixMicro(n), formUTC)
	case "timestamp-millis":
		return appendTime(dst, time.UnixMilli(n), formUTC)
	case "local-timestamp-micros":
		return appendTime(dst, time.UnixMicro(n), formLocal)
	}
	return strconv.AppendInt(dst, n, 10)
}

func appendTime(dst []byte, t time.Time, form string) []byte {
	return append(t.UTC().AppendFormat(append(dst, '"'), form), '"')
}

// appendFloat writes as text what JSON has no number for.
func appendFloat(dst []byte, x float64, bits int) []byte {
	switch {
	case math.IsNaN(x):
		return append(dst, `"NaN"`...)
	case math.IsInf(x, 0):
		return appendText(dst, strings.Replace(strconv.FormatFloat(x, 'g', -1, 64), "Inf", "Infinity", 1))
	}
	return strconv.AppendFloat(dst, x, 'g', -1, bits)
}

func (s *schema) appendBytes(dst, v []byte) []byte {
	if s.logical == "decimal" {
		return appendText(dst, decimal(v, s.scale))
	}
	return appendText(dst, `\x`+hex.EncodeToString(v))
}

// decimal reads a big-endian two's complement integer (Avro specification, "Decimal").
func decimal(b []byte, scale int) string {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
	}
	digits := new(big.Int).Abs(n).String()
	if scale > 0 {
		digits = strings.Repeat("0", max(scale+1-len(digits), 0)) + digits
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// appendText writes a JSON string and leaves < > & as they are.
func appendText(dst []byte, s string) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // a string always encodes
		return append(dst, "null"...)
	}
	return append(dst, strings.TrimSuffix(b.String(), "\n")...)
}
