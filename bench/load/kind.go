package load

import (
	"fmt"
	"strings"
)

// kinds are the types that columns begin with.
var kinds = []string{"smallint", "integer", "bigint", "numeric(8,2)", "numeric", "real", "double precision", "varchar(12)", "text",
	"char(6)", "date", "timestamptz", "boolean", "uuid", "json", "jsonb", "integer[]", "bytea", "mood"}

// retypes gives the types that a column can be altered to with every value kept: wider ones, and narrower
// ones where the values of this workload have room.
var retypes = map[string][]string{
	"smallint":     {"integer", "bigint", "numeric", "text"},
	"integer":      {"bigint", "numeric", "text", "smallint"},
	"bigint":       {"numeric", "integer"},
	"numeric(8,2)": {"numeric(12,4)", "numeric"},
	"numeric":      {"text"},
	"real":         {"double precision"},
	"varchar(12)":  {"varchar(40)", "text"},
	"varchar(40)":  {"text"},
	"char(6)":      {"text"},
	"date":         {"timestamp"},
	"boolean":      {"text"},
	"json":         {"jsonb"},
	"integer[]":    {"bigint[]"},
}

// value draws a value of a type as a literal.
func (s *session) value(typ string, labels []string) string {
	if s.chance(nullShare) {
		return "null"
	}
	text := s.plainValue(typ, labels)
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

func (s *session) plainValue(typ string, labels []string) string {
	switch typ {
	case "smallint", "integer", "bigint":
		return fmt.Sprint(s.random.IntN(60000) - 30000)
	case "numeric(8,2)", "numeric(12,4)", "numeric":
		return fmt.Sprintf("%.2f", float64(s.random.IntN(2000000)-1000000)/100)
	case "real", "double precision":
		return fmt.Sprint(float32(s.random.NormFloat64()))
	case "varchar(12)", "char(6)":
		return pick(s, []string{"", "a", "déjà", "'q' ", "tab\t"})
	case "date":
		return s.date()
	case "timestamp", "timestamptz":
		return s.moment()
	case "boolean":
		return pick(s, []string{"true", "false"})
	case "uuid":
		return s.uuid()
	case "json", "jsonb":
		return s.object()
	case "integer[]", "bigint[]":
		return fmt.Sprintf("{%d,NULL}", s.random.IntN(100))
	case "bytea":
		return fmt.Sprintf(`\x%x`, s.bytes())
	case "mood":
		return pick(s, labels)
	case long:
		return s.body()
	}
	return s.words(0, 4)
}

// long is the type of columns whose values are mostly stored out of line. It is text by another name.
const long = "text /* long */"
