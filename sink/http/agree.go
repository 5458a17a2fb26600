package http

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// agrees tells whether a value of the API is that of a column: as it would be sent, but that numbers may have other digits
// of the same value, or be text, and times another zone or precision.
func agrees(t *change.Type, want change.Value, got any) (bool, error) {
	if !known(want) {
		return false, nil
	}
	text, err := appendValue(nil, t, want)
	if err != nil {
		return false, err
	}
	sent, err := decode(text)
	if err != nil {
		return false, fmt.Errorf("it cannot be compared: %w", err)
	}
	return same(sent, got, isTime(t)), nil
}

// isTime tells whether the type, or that of an array's elements, has a form in RFC 3339.
func isTime(t *change.Type) bool {
	if t.Kind == change.Array && t.Elem != nil {
		t = t.Elem
	}
	return t.Kind == change.Timestamp || t.Kind == change.TimestampTZ
}

func same(sent, got any, times bool) bool {
	switch s := sent.(type) {
	case json.Number:
		switch g := got.(type) {
		case json.Number:
			return sameNumber(string(s), string(g))
		case string:
			return sameNumber(string(s), g)
		}
		return false
	case string:
		switch g := got.(type) {
		case json.Number:
			return sameNumber(s, string(g))
		case string:
			return s == g || times && sameTime(s, g)
		}
		return false
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(s) {
			return false
		}
		for i := range s {
			if !same(s[i], g[i], times) {
				return false
			}
		}
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(s) {
			return false
		}
		for name := range s {
			v, there := g[name]
			if !there || !same(s[name], v, false) {
				return false
			}
		}
		return true
	}
	return sent == got // null, true and false
}

// maxDigits bounds numbers that are compared by value, and their exponents in digits.
const (
	maxDigits   = 4096
	maxExponent = 4
)

// sameNumber compares by value; texts that are no numbers, or too large to reckon with, are equal when they are the same.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	x, okX := rational(a)
	y, okY := rational(b)
	return okX && okY && x.Cmp(y) == 0
}

func rational(text string) (*big.Rat, bool) {
	if !isNumber([]byte(text)) || len(text) > maxDigits {
		return nil, false
	}
	if e := strings.IndexAny(text, "eE"); e >= 0 && len(text)-e > 2+maxExponent {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// sameTime compares two times with zone, or two without.
func sameTime(a, b string) bool {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05"} {
		x, errX := time.Parse(layout, a)
		y, errY := time.Parse(layout, b)
		if errX == nil && errY == nil {
			return x.Equal(y)
		}
	}
	return false
}
