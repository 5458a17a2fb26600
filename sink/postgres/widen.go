package postgres

import (
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// A change of type at the source rewrites its rows there without a word of it in the log. Where the old
// type's every value has a place in the new one, the same ALTER TYPE at the destination gives the same
// values. Otherwise the source's statement had a USING clause, or lost something: it cannot be repeated.

// ladders are types of which each takes every value of the ones before it.
var ladders = [][]string{
	{"smallint", "integer", "bigint", "numeric"},
	{"real", "double precision"},
	{"character", "bpchar", "character varying", "text"},
	{"name", "text"},
	{"date", "timestamp without time zone"},
	{"bit", "bit varying"},
}

// plainText are types whose text does not depend on settings of the session that alters them.
var plainText = []string{"smallint", "integer", "bigint", "oid", "numeric", "boolean", "uuid", "character", "bpchar", "character varying",
	"name", "text", "citext", "json", "jsonb", "bit", "bit varying", "macaddr", "pg_lsn", `"char"`}

// Widens tells whether a column is altered from one type of the source to another under evolve: add.
func Widens(from, to *change.Type) bool {
	return widens(from.Name, to.Name, from.Kind == change.TextLike)
}

// widens tells whether every value of a column of one type is kept by the ALTER TYPE to the other. label
// says of a type of the source's own that its values are texts.
func widens(from, to string, label bool) bool {
	if from == to {
		return true
	}
	fromItem, fromArray := strings.CutSuffix(from, "[]")
	toItem, toArray := strings.CutSuffix(to, "[]")
	if fromArray || toArray {
		return fromArray && toArray && widens(fromItem, toItem, label)
	}
	fb, fm := typeParts(from)
	tb, tm := typeParts(to)
	if fb == tb {
		return wider(fb, fm, tm)
	}
	if tb == "text" || tb == "character varying" && len(tm) == 0 {
		return label || slices.Contains(plainText, fb)
	}
	if tb == "jsonb" { // it drops spaces, repeated keys and their order: the same at both sides
		return fb == "json"
	}
	for _, l := range ladders {
		a, b := slices.Index(l, fb), slices.Index(l, tb)
		if a >= 0 && b > a {
			return roomFor(fb, fm, tb, tm)
		}
	}
	return false
}

// keepsText tells whether the text of every value stays too, so that a column of type text need not be
// touched.
func keepsText(from, to string, label bool) bool {
	fb, fm := typeParts(from)
	tb, tm := typeParts(to)
	switch fb {
	case "character", "bpchar", "real", "date", "json", "boolean":
		return from == to
	case "numeric":
		return widens(from, to, label) && (tb != "numeric" || len(tm) == 0 || len(fm) > 0 && digitsOf(fm, 1) == digitsOf(tm, 1))
	}
	return widens(from, to, label) && (tb != "numeric" || digitsOf(tm, 1) == 0)
}

// typeParts splits "numeric(12,2)" into base and modifiers. The modifier of a time stands in its middle.
func typeParts(name string) (base string, mods []int) {
	before, rest, ok := strings.Cut(name, "(")
	if !ok {
		return name, nil
	}
	inside, after, _ := strings.Cut(rest, ")")
	for _, m := range strings.Split(inside, ",") {
		n := 0
		for _, d := range strings.TrimSpace(m) {
			if d < '0' || d > '9' {
				return name, nil
			}
			n = n*10 + int(d-'0')
		}
		mods = append(mods, n)
	}
	return before + after, mods
}

func digitsOf(mods []int, i int) int {
	if i < len(mods) {
		return mods[i]
	}
	return 0
}

// wider compares modifiers of one base type.
func wider(base string, from, to []int) bool {
	switch {
	case len(to) == 0:
		return base != "character" && base != "bit" // without one they are of length 1
	case len(from) == 0:
		return false
	case base == "numeric":
		return digitsOf(to, 1) >= digitsOf(from, 1) && to[0]-digitsOf(to, 1) >= from[0]-digitsOf(from, 1)
	case base == "bit":
		return from[0] == to[0]
	}
	return to[0] >= from[0]
}

// roomFor compares modifiers of two base types of a ladder.
func roomFor(from string, fm []int, to string, tm []int) bool {
	switch {
	case to == "numeric":
		digits := map[string]int{"smallint": 5, "integer": 10, "bigint": 19}[from]
		return len(tm) == 0 || tm[0]-digitsOf(tm, 1) >= digits
	case len(tm) == 0 || strings.HasPrefix(to, "timestamp"):
		return to != "character"
	}
	return len(fm) > 0 && tm[0] >= fm[0]
}
