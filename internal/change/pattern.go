package change

import "strings"

// Pattern names one table, or with * in a part that is not quoted all tables whose names fit.
type Pattern struct{ schema, name part }

// ParsePattern reads schema.table as ParseName does; a * outside double quotes stands for any number
// of any characters of its part, for example sales.* or public.order_*.
func ParsePattern(s string) (Pattern, error) {
	parts, err := parseParts(s, true)
	return Pattern{parts[0], parts[1]}, err
}

// Exact tells whether the pattern names one table, and gives it.
func (p Pattern) Exact() (schema, name string, ok bool) {
	return p.schema.text, p.name.text, !p.schema.pattern && !p.name.pattern
}

// Match tells whether the pattern covers a table.
func (p Pattern) Match(schema, name string) bool { return p.schema.match(schema) && p.name.match(name) }

func (p part) match(s string) bool {
	if !p.pattern {
		return p.text == s
	}
	pieces := strings.Split(p.text, "*")
	first, last := pieces[0], pieces[len(pieces)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, piece := range pieces[1 : len(pieces)-1] {
		i := strings.Index(s, piece)
		if i < 0 {
			return false
		}
		s = s[i+len(piece):]
	}
	return true
}

// Like gives the pattern in the language of SQL's LIKE, for schema and name.
func (p Pattern) Like() (schema, name string) { return p.schema.like(), p.name.like() }

func (p part) like() string {
	escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(p.text)
	if !p.pattern {
		return escaped
	}
	return strings.ReplaceAll(escaped, "*", "%")
}
