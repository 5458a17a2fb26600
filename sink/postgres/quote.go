package postgres

import "strings"

// ident quotes a name for SQL, whatever is in it.
func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// qualified quotes schema and name.
func qualified(schema, name string) string { return ident(schema) + "." + ident(name) }

// literal quotes a string for SQL under standard_conforming_strings, which every session of ours has.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// list joins the pieces that f makes of each item.
func list[T any](items []T, sep string, f func(int, T) string) string {
	var b strings.Builder
	for i, item := range items {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(f(i, item))
	}
	return b.String()
}
