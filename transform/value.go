package transform

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/sluicecdc/sluice/internal/change"
)

// read turns PostgreSQL's text of a value into CEL's value.
func read(t *change.Type, text []byte) ref.Val {
	s := string(text)
	switch t.Kind {
	case change.Bool:
		return types.Bool(s == "t" || s == "true")
	case change.Int2, change.Int4, change.Int8, change.OID:
		n, err := strconv.ParseInt(s, 10, 64)
		return orError(types.Int(n), err)
	case change.Float4, change.Float8:
		f, err := strconv.ParseFloat(s, 64)
		return orError(types.Double(f), err)
	case change.Numeric:
		n, err := parseNumeric(s)
		return orError(n, err)
	case change.Bytea:
		b, err := hex.DecodeString(strings.TrimPrefix(s, `\x`))
		return orError(types.Bytes(b), err)
	case change.Date, change.Timestamp, change.TimestampTZ:
		at, err := parseTime(s)
		return orError(types.Timestamp{Time: at}, err)
	default:
		return types.String(s)
	}
}

func orError(v ref.Val, err error) ref.Val {
	if err != nil {
		return types.NewErr("%v", err)
	}
	return v
}

// resultType is the type of a column that takes results of an expression.
func resultType(t *cel.Type) (change.Type, bool) {
	for _, r := range results {
		if t.IsExactType(r.cel) || t.IsExactType(cel.NullableType(r.cel)) {
			return r.column, true
		}
	}
	return change.Type{}, false
}

var results = []struct {
	cel    *cel.Type
	column change.Type
}{
	{cel.BoolType, change.Type{OID: 16, Mod: -1, Name: "boolean", Kind: change.Bool}},
	{cel.IntType, change.Type{OID: 20, Mod: -1, Name: "bigint", Kind: change.Int8}},
	{cel.DoubleType, change.Type{OID: 701, Mod: -1, Name: "double precision", Kind: change.Float8}},
	{numericType, change.Type{OID: 1700, Mod: -1, Name: "numeric", Kind: change.Numeric}},
	{cel.StringType, textType},
	{cel.BytesType, change.Type{OID: 17, Mod: -1, Name: "bytea", Kind: change.Bytea}},
	{cel.TimestampType, change.Type{OID: 1184, Mod: -1, Name: "timestamp with time zone", Kind: change.TimestampTZ}},
}

var textType = change.Type{OID: 25, Mod: -1, Name: "text", Kind: change.TextLike}

// write turns a result into PostgreSQL's text.
func write(v ref.Val) change.Value {
	switch v := v.(type) {
	case types.Bool:
		return text(map[bool]string{true: "t", false: "f"}[bool(v)])
	case types.Int:
		return text(strconv.FormatInt(int64(v), 10))
	case types.Double:
		return text(formatDouble(float64(v)))
	case types.String:
		return text(string(v))
	case types.Bytes:
		return text(`\x` + hex.EncodeToString(v))
	case types.Timestamp:
		return text(formatTime(v.Time))
	case numeric:
		return text(v.String())
	}
	return change.Value{Format: change.Null}
}

func text(s string) change.Value { return change.Value{Format: change.Text, Data: []byte(s)} }

func formatDouble(f float64) string {
	switch s := strconv.FormatFloat(f, 'g', -1, 64); s {
	case "+Inf":
		return "Infinity"
	case "-Inf":
		return "-Infinity"
	default:
		return s
	}
}

// PostgreSQL's infinities stand beyond its last and before its first moment, where they compare as
// they should.
var (
	future = time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC)
	past   = time.Date(-10_000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// parseTime reads date, timestamp and timestamptz in DateStyle ISO and TimeZone UTC; a value without
// zone is taken as UTC.
func parseTime(s string) (time.Time, error) {
	switch s {
	case "infinity":
		return future, nil
	case "-infinity":
		return past, nil
	}
	s, before := strings.CutSuffix(s, " BC")
	year, rest, _ := strings.Cut(s, "-")
	n, err := strconv.Atoi(year)
	if err != nil {
		return time.Time{}, err
	}
	if before {
		n = 1 - n
	}
	layout := "2006-01-02 15:04:05.999999"
	if len(rest) == len("01-02") {
		layout = "2006-01-02"
	}
	// 2000 is a leap year, so that every day can be read; Go's layouts know years of four digits only.
	at, err := time.Parse(layout, "2000-"+strings.TrimSuffix(rest, "+00"))
	if err != nil {
		return time.Time{}, err
	}
	return time.Date(n, at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC), nil
}

func formatTime(at time.Time) string {
	at = at.UTC()
	switch {
	case at.Equal(future):
		return "infinity"
	case at.Equal(past):
		return "-infinity"
	}
	year, era := at.Year(), ""
	if year < 1 {
		year, era = 1-year, " BC"
	}
	digits := strconv.Itoa(year)
	for len(digits) < 4 {
		digits = "0" + digits
	}
	return digits + at.Format("-01-02 15:04:05.999999") + "+00" + era
}
