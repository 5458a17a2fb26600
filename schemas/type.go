package schemas

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// TypeOf describes a column's type. oid and mod are pg_attribute's atttypid and atttypmod, of the
// base type where the column's is a domain; name is format_type's answer for them and may be empty
// for a type of PostgreSQL's own; elem is the element type of an array that is not one of those and
// whose text has commas between the elements, nil for another one.
//
// A type that is neither built in nor such an array is Opaque: its values are its own text. Only
// the catalogue knows an enum or a text of another name (citext); it may set Kind to TextLike.
func TypeOf(oid uint32, mod int32, name string, elem *change.Type) change.Type {
	b, isArray, known := builtinByOID(oid)
	switch {
	case known && isArray:
		e := TypeOf(b.oid, mod, strings.TrimSuffix(name, "[]"), nil)
		return arrayOf(oid, mod, e)
	case known:
		return scalar(b, mod, name)
	case elem != nil && elem.Kind != change.Array:
		t := arrayOf(oid, mod, *elem)
		if name != "" {
			t.Name = name
		}
		return t
	}
	return change.Type{OID: oid, Mod: mod, Name: name, Kind: change.Opaque}
}

// WithISO gives the type with timestamps with time zone, arrays of them too, as ISO 8601 text in records.
func WithISO(t change.Type) change.Type {
	switch {
	case t.Kind == change.TimestampTZ:
		t.ISO = true
	case t.Kind == change.Array:
		elem := WithISO(*t.Elem)
		t.Elem = &elem
	}
	return t
}

func arrayOf(oid uint32, mod int32, elem change.Type) change.Type {
	return change.Type{OID: oid, Mod: mod, Name: elem.Name + "[]", Kind: change.Array, Elem: &elem}
}

func scalar(b builtin, mod int32, name string) change.Type {
	if name == "" {
		name = formatType(b, mod)
	}
	t := change.Type{OID: b.oid, Mod: mod, Name: name, Kind: b.kind}
	if b.kind == change.Numeric && mod >= 4 {
		t.Precision, t.Scale = numericModifier(mod)
	}
	return t
}

// Delimiter is what separates the elements in the text of an array of e (pg_type.typdelim). Types of
// extensions may have another one (geometry's is a colon): arrays of those stay text.
func Delimiter(e *change.Type) byte {
	if e.OID == oidBox {
		return ';'
	}
	return ','
}

// IsDecimal tells whether a numeric is written as an Avro decimal: with a precision, and a scale
// from 0 to it. Readers refuse the negative and over-long scales of PostgreSQL 15.
func IsDecimal(t *change.Type) bool {
	return t.Kind == change.Numeric && t.Precision > 0 && t.Scale >= 0 && t.Scale <= t.Precision
}

// numericModifier takes atttypmod apart: 16 bits of precision, 11 of signed scale, offset 4
// (src/backend/utils/adt/numeric.c, numeric_typmod_precision and _scale).
func numericModifier(mod int32) (precision, scale int) {
	mod -= 4
	return int(mod >> 16 & 0xffff), int(mod&0x7ff^1024) - 1024
}

// formatType does what format_type does for the modifiers that a relation message brings.
func formatType(b builtin, mod int32) string {
	if mod < 0 {
		return withoutModifier(b)
	}
	switch b.kind {
	case change.Numeric:
		p, s := numericModifier(mod)
		return fmt.Sprintf("numeric(%d,%d)", p, s)
	case change.Bit:
		return fmt.Sprintf("%s(%d)", b.name, mod)
	case change.Time, change.TimeTZ, change.Timestamp, change.TimestampTZ:
		word, rest, _ := strings.Cut(b.name, " ")
		return fmt.Sprintf("%s(%d) %s", word, mod, rest)
	}
	switch b.oid {
	case oidBpchar, oidVarchar:
		return fmt.Sprintf("%s(%d)", b.name, mod-4)
	case oidInterval:
		return formatInterval(mod)
	}
	return b.name
}

// withoutModifier names a type so that a column declared with it has no modifier either: the standard
// gives the words character and bit a length of 1.
func withoutModifier(b builtin) string {
	switch b.oid {
	case oidBpchar:
		return "bpchar"
	case oidBit:
		return `"bit"`
	}
	return b.name
}

// formatInterval takes an interval's modifier apart: the mask of its fields above 16 bits of
// precision, all ones where there is none (src/include/utils/timestamp.h, INTERVAL_RANGE).
func formatInterval(mod int32) string {
	name := "interval"
	switch mod >> 16 & 0x7fff {
	case 1 << 2:
		name += " year"
	case 1 << 1:
		name += " month"
	case 1<<2 | 1<<1:
		name += " year to month"
	case 1 << 3:
		name += " day"
	case 1 << 10:
		name += " hour"
	case 1 << 11:
		name += " minute"
	case 1 << 12:
		name += " second"
	case 1<<3 | 1<<10:
		name += " day to hour"
	case 1<<3 | 1<<10 | 1<<11:
		name += " day to minute"
	case 1<<3 | 1<<10 | 1<<11 | 1<<12:
		name += " day to second"
	case 1<<10 | 1<<11:
		name += " hour to minute"
	case 1<<10 | 1<<11 | 1<<12:
		name += " hour to second"
	case 1<<11 | 1<<12:
		name += " minute to second"
	}
	if precision := mod & 0xffff; precision != 0xffff {
		name += fmt.Sprintf("(%d)", precision)
	}
	return name
}

// parseType undoes format_type. isText says that a type which is not built in holds plain text, isArray
// that the field holds an array. The OID of a type that is not built in is not known here and is 0; the
// modifier of an interval is left at -1.
func parseType(name string, isText, isArray bool) change.Type {
	if elem, ok := strings.CutSuffix(name, "[]"); ok && isArray {
		e := parseType(elem, isText, false)
		if b, _, known := builtinByOID(e.OID); known {
			return arrayOf(b.array, e.Mod, e)
		}
		return arrayOf(0, -1, e)
	}
	base, args := cutModifier(name)
	if b, known := builtinByName(base); known {
		return scalar(b, parseModifier(b, args), name)
	}
	t := change.Type{Mod: -1, Name: name, Kind: change.Opaque}
	if isText {
		t.Kind = change.TextLike
	}
	return t
}

// cutModifier splits "timestamp(3) with time zone" into "timestamp with time zone" and "3".
func cutModifier(name string) (base, args string) {
	if strings.HasPrefix(name, "interval") {
		return "interval", ""
	}
	head, rest, ok := strings.Cut(name, "(")
	args, tail, closed := strings.Cut(rest, ")")
	if !ok || !closed {
		return name, ""
	}
	return head + tail, args
}

func parseModifier(b builtin, args string) int32 {
	first, second, _ := strings.Cut(args, ",")
	n, err := strconv.ParseInt(first, 10, 32)
	if err != nil || n < 0 || n > 1<<24 {
		return -1
	}
	switch {
	case b.oid == oidNumeric:
		scale, _ := strconv.ParseInt(second, 10, 12)
		return int32(n&0x7fff)<<16 | int32(scale)&0x7ff + 4
	case b.oid == oidBpchar || b.oid == oidVarchar:
		return int32(n) + 4
	}
	return int32(n)
}
