package schemas

import (
	"fmt"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// FieldName makes an Avro name of a column's: what is not [A-Za-z0-9_] becomes _, and a leading
// digit gets one before it (Avro specification, Names).
func FieldName(column string) string {
	s := strings.Map(func(r rune) rune {
		if isAlphanumeric(r) {
			return r
		}
		return '_'
	}, column)
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return "_" + s
	}
	return s
}

// FieldNames gives the Avro names of a table's columns, in order. Two columns with one name are an
// error that names both.
func FieldNames(t *change.Table) ([]string, error) {
	names, seen := make([]string, len(t.Columns)), map[string]string{}
	for i, c := range t.Columns {
		if names[i] = c.Field; names[i] == "" {
			names[i] = FieldName(c.Name)
		}
		if other, taken := seen[names[i]]; taken {
			return nil, fmt.Errorf("columns %q and %q of table %s would share the Avro name %s: the table is not published; rename one of them or drop it by a transform",
				other, c.Name, quoted(t), names[i])
		}
		seen[names[i]] = c.Name
	}
	return names, nil
}

// Namespace makes the Avro namespace of a topic's name, part by part.
func Namespace(topic string) string {
	parts := strings.Split(topic, ".")
	for i, p := range parts {
		parts[i] = FieldName(p)
	}
	return strings.Join(parts, ".")
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
}
