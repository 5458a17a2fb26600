package postgres

import (
	"bytes"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// PostgreSQL assigns some values by rounding or cutting them without a word: 1.25 to numeric(2,1), a
// time to timestamp(0), trailing blanks to varchar(3), a timestamp to date. A column that may do so to a
// value of its source is narrow, and its values are looked at before they are sent.

// changes tells whether a column would hold another value than the text says; what the server refuses by
// itself is not asked about.
type changes func(text []byte) bool

// narrow gives the question for a column, nil where every value of the source's type is kept.
func narrow(to attribute, from change.Type) changes {
	switch {
	case to.full == from.Name:
		return nil
	case strings.HasSuffix(to.typ, "[]"):
		return narrowItems(to, from)
	}
	digits, hasDigits := modifier(to.full)
	switch to.typ {
	case "numeric":
		if hasDigits && !isInteger(from) {
			return beyond(scale(to.full))
		}
	case "real", "double precision":
		return inexact(to.typ, from)
	case "character varying", "bpchar":
		return longer(to.typ, digits, from)
	case "name":
		return func(text []byte) bool { return len(text) > 63 }
	case `"char"`:
		if from.Kind != change.Char {
			return func(text []byte) bool { return len(text) > 1 }
		}
	}
	return narrowTime(to, from, digits, hasDigits)
}

func narrowTime(to attribute, from change.Type, digits int, hasDigits bool) changes {
	isTimestamp := from.Kind == change.Timestamp || from.Kind == change.TimestampTZ
	kind, isTime := strings.CutPrefix(to.typ, "time ")
	switch {
	case to.typ == "date" && isTimestamp:
		return hasTimeOfDay
	case isTime && (isTimestamp || kind == "without time zone" && from.Kind == change.TimeTZ):
		return always
	case to.typ == "interval" && strings.Contains(to.full, " "): // its fields are restricted
		return always
	case isTime, to.typ == "interval", strings.HasPrefix(to.typ, "timestamp "):
		if hasDigits {
			return finer(digits)
		}
	}
	return nil
}

func always([]byte) bool { return true }

func isInteger(t change.Type) bool {
	return t.Kind == change.Int2 || t.Kind == change.Int4 || t.Kind == change.Int8 || t.Kind == change.OID
}

// modifier takes the first number in parentheses.
func modifier(full string) (n int, ok bool) {
	_, rest, _ := strings.Cut(full, "(")
	end := strings.IndexAny(rest, ",)")
	if end < 0 {
		return 0, false
	}
	n, err := strconv.Atoi(rest[:end])
	return n, err == nil
}

func scale(full string) int {
	_, rest, _ := strings.Cut(full, ",")
	n, _ := strconv.Atoi(strings.TrimSuffix(rest, ")"))
	return n
}

// beyond asks for digits that are not 0 after the last one that a numeric of the scale keeps.
func beyond(scale int) changes {
	return func(text []byte) bool {
		if scale >= 0 && bytes.IndexByte(text, 'e') < 0 {
			return fraction(text) > scale
		}
		v, ok := new(big.Rat).SetString(string(text))
		if !ok {
			return false
		}
		power := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, -scale))), nil))
		if scale < 0 {
			return !v.Quo(v, power).IsInt()
		}
		return !v.Mul(v, power).IsInt()
	}
}

// fraction counts the digits after the last point, trailing zeros left out.
func fraction(text []byte) int {
	digits := text[bytes.LastIndexByte(text, '.')+1:]
	if len(digits) == len(text) {
		return 0
	}
	n := 0
	for i, d := range digits {
		if d < '0' || d > '9' {
			break
		}
		if d != '0' {
			n = i + 1
		}
	}
	return n
}

func finer(digits int) changes {
	return func(text []byte) bool { return fraction(text) > digits }
}

// hasTimeOfDay asks for another time than midnight, where a date would lose it.
func hasTimeOfDay(text []byte) bool {
	_, clock, ok := bytes.Cut(text, []byte(" "))
	return ok && (!bytes.HasPrefix(clock, []byte("00:00:00")) || fraction(clock) > 0)
}

// inexact asks for numbers whose nearest float is another number.
func inexact(typ string, from change.Type) changes {
	bits := 64
	if typ == "real" {
		bits = 32
	}
	if from.Kind == change.Float4 || from.Kind == change.Int2 || bits == 64 && (from.Kind == change.Float8 || from.Kind == change.Int4) {
		return nil
	}
	return func(text []byte) bool {
		v, err := strconv.ParseFloat(string(text), bits)
		was, ok := new(big.Rat).SetString(string(text))
		if err != nil || !ok {
			return false // NaN, infinities, and what the server refuses
		}
		is, _ := new(big.Rat).SetString(strconv.FormatFloat(v, 'g', -1, bits))
		return was.Cmp(is) != 0
	}
}

// longer asks for blanks at the end: they are cut where they are too many, and mean nothing in bpchar.
func longer(typ string, limit int, from change.Type) changes {
	blank := strings.HasPrefix(from.Name, "character(") || from.Name == "bpchar"
	switch {
	case limit == 0 || typ == "bpchar" && blank:
		return nil
	case typ == "bpchar":
		return func(text []byte) bool { return bytes.HasSuffix(text, []byte(" ")) }
	}
	return func(text []byte) bool {
		return bytes.HasSuffix(text, []byte(" ")) && utf8.RuneCount(text) > limit
	}
}

// narrowItems asks about each element of an array.
func narrowItems(to attribute, from change.Type) changes {
	item := change.Type{Name: strings.TrimSuffix(from.Name, "[]")}
	if from.Elem != nil {
		item = *from.Elem
	}
	ask := narrow(attribute{typ: strings.TrimSuffix(to.typ, "[]"), full: strings.TrimSuffix(to.full, "[]")}, item)
	if ask == nil {
		return nil
	}
	return func(text []byte) bool {
		for len(text) > 0 {
			var element []byte
			if element, text = nextItem(text); len(element) > 0 && string(element) != "NULL" && ask(element) {
				return true
			}
		}
		return false
	}
}

// nextItem takes the next element of an array's text, of any shape, and gives what follows it.
func nextItem(text []byte) (element, rest []byte) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '}', ',':
			return element, text[i+1:]
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
				element = append(element, text[min(i, len(text)-1)])
			}
		default:
			element = append(element, text[i])
		}
	}
	return element, nil
}

// fits refuses a row with a value that its column would change.
func (t *target) fits(row change.Row) error {
	for _, n := range t.narrow {
		c := &t.cols[n]
		v := row[n]
		if v.Format == change.Text && c.changes(v.Data) {
			return refuseRow(sink.ClassData, "run: ALTER TABLE "+t.name+" ALTER COLUMN "+c.quoted+" TYPE "+t.table.Columns[n].Type.Name,
				"column %s is %s there and would hold another value than %s, in row %s", c.quoted, c.full, short(string(v.Data)), t.shown(row))
		}
	}
	return nil
}
