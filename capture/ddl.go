package capture

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicecdc/sluice/internal/change"
)

// StatementError says that a statement was not rehearsed, because it is none that can be, or because
// PostgreSQL does not take it.
type StatementError struct{ Reason string }

func (e *StatementError) Error() string { return "cannot rehearse the statement: " + e.Reason }

func unfit(format string, args ...any) error {
	return &StatementError{fmt.Sprintf(format, args...)}
}

// ddl is a statement about one table, taken apart no further than its rehearsal needs: PostgreSQL
// itself reads what follows the name.
type ddl struct {
	drop    bool   // DROP TABLE; ALTER TABLE otherwise
	schema  string // empty when the statement leaves it out
	name    string
	actions string // all after the name
}

// parseDDL reads the head of a statement (PostgreSQL manual, ALTER TABLE and DROP TABLE).
func parseDDL(sql string) (ddl, error) {
	s := scanner{sql}
	var d ddl
	switch verb := s.word(); verb {
	case "alter":
	case "drop":
		d.drop = true
	default:
		return d, unfit("it begins with %q: only ALTER TABLE and DROP TABLE of a captured table change records", verb)
	}
	if what := s.word(); what != "table" {
		return d, unfit("%s", otherObject(what))
	}
	s.skip("if", "exists")
	s.skip("only")
	if err := s.name(&d); err != nil {
		return d, err
	}
	s.blank()
	d.actions = strings.TrimPrefix(s.rest, "*")
	return d, d.validate()
}

func otherObject(what string) string {
	if what == "type" || what == "domain" {
		return "it is about a " + what + ", not a table: labels of an enum travel as text, so adding or renaming one changes no schema; " +
			"for another change of a " + what + " ask with ALTER TABLE ... ALTER COLUMN ... TYPE"
	}
	return fmt.Sprintf("it is about a %q, not a table", what)
}

func (d *ddl) validate() error {
	s := scanner{d.actions}
	first := s.word()
	switch {
	case d.drop && (strings.Contains(d.actions, ",") || !slices.Contains([]string{"", "cascade", "restrict"}, first)):
		return unfit("want one table, and nothing after it but CASCADE or RESTRICT")
	case d.drop:
		return nil
	case first == "attach" || first == "detach":
		return unfit("attaching and detaching partitions changes no schema; the rows of a partition that is attached are not in the log and must be read")
	case first == "":
		return unfit("it says nothing that is to be done to the table")
	}
	return nil
}

// newSchema gives the schema of ALTER TABLE ... SET SCHEMA.
func (d *ddl) newSchema() (string, bool) {
	s := scanner{d.actions}
	if s.word() != "set" || s.word() != "schema" {
		return "", false
	}
	var to ddl
	if s.name(&to) != nil || to.schema != "" {
		return "", false
	}
	return to.name, true
}

// uses tells whether a word stands among the actions, outside of quotes and comments.
func (d *ddl) uses(word string) bool {
	s := scanner{d.actions}
	for s.blank(); s.rest != ""; s.blank() {
		if w := s.word(); w == word {
			return true
		} else if w == "" {
			s.step()
		}
	}
	return false
}

// scanner walks over SQL.
type scanner struct{ rest string }

// blank passes over white space and comments, which nest.
func (s *scanner) blank() {
	for {
		s.rest = strings.TrimLeftFunc(s.rest, unicode.IsSpace)
		switch {
		case strings.HasPrefix(s.rest, "--"):
			_, s.rest, _ = strings.Cut(s.rest, "\n")
		case strings.HasPrefix(s.rest, "/*"):
			s.comment()
		default:
			return
		}
	}
}

func (s *scanner) comment() {
	depth := 0
	for s.rest != "" {
		switch {
		case strings.HasPrefix(s.rest, "/*"):
			depth++
			s.rest = s.rest[2:]
		case strings.HasPrefix(s.rest, "*/"):
			depth--
			s.rest = s.rest[2:]
		default:
			s.rest = s.rest[1:]
		}
		if depth == 0 {
			return
		}
	}
}

// word takes the next unquoted word, in lower case; empty when something else comes.
func (s *scanner) word() string {
	s.blank()
	n := identLength(s.rest)
	w := s.rest[:n]
	s.rest = s.rest[n:]
	return strings.ToLower(w)
}

// skip takes words if all of them come.
func (s *scanner) skip(words ...string) {
	ahead := *s
	for _, w := range words {
		if ahead.word() != w {
			return
		}
	}
	*s = ahead
}

// step takes what is not a word: a quoted text as a whole, else one character.
func (s *scanner) step() {
	_, size := utf8.DecodeRuneInString(s.rest)
	quote := s.rest[0]
	s.rest = s.rest[size:]
	if quote == '\'' || quote == '"' {
		_, s.rest, _ = strings.Cut(s.rest, string(quote))
	}
}

// name takes a table's name, with or without its schema.
func (s *scanner) name(d *ddl) error {
	first, err := s.ident()
	if err != nil {
		return err
	}
	s.blank()
	if !strings.HasPrefix(s.rest, ".") {
		d.name = first
		return nil
	}
	s.rest = s.rest[1:]
	d.schema = first
	d.name, err = s.ident()
	return err
}

// ident takes one identifier, quoted or not.
func (s *scanner) ident() (string, error) {
	s.blank()
	n := identLength(s.rest)
	if strings.HasPrefix(s.rest, `"`) {
		n = quotedLength(s.rest)
	}
	raw := s.rest[:n]
	s.rest = s.rest[n:]
	_, name, err := change.ParseName("x." + raw)
	if err != nil {
		return "", unfit("there is no table's name where one belongs, before %.20q", s.rest)
	}
	return name, nil
}

func identLength(s string) int {
	for i, r := range s {
		if r != '_' && r < utf8.RuneSelf && !unicode.IsLetter(r) && (i == 0 || r != '$' && !unicode.IsDigit(r)) {
			return i
		}
	}
	return len(s)
}

// quotedLength is that of an identifier in double quotes, a doubled one inside standing for itself.
func quotedLength(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 == len(s) || s[i+1] != '"' {
			return i + 1
		}
		i++
	}
	return len(s)
}
