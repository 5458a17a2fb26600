package capture

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicecdc/sluice/internal/change"
)

// scanner walks over SQL (PostgreSQL manual, 4.1 Lexical Structure).
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
func (s *scanner) skip(words ...string) bool {
	ahead := *s
	for _, w := range words {
		if ahead.word() != w {
			return false
		}
	}
	*s = ahead
	return true
}

// name takes a name, with or without its schema.
func (s *scanner) name() (objectName, error) {
	first, err := s.ident()
	if err != nil || !s.symbol(".") {
		return objectName{name: first}, err
	}
	last, err := s.ident()
	return objectName{first, last}, err
}

// names takes a list of them, with the words that may stand around a table's.
func (s *scanner) names() (all []objectName, err error) {
	for {
		s.skip("only")
		n, err := s.name()
		if err != nil {
			return nil, err
		}
		all = append(all, n)
		s.symbol("*")
		if !s.symbol(",") {
			return all, nil
		}
	}
}

// symbol takes a character if it comes.
func (s *scanner) symbol(c string) bool {
	s.blank()
	after, comes := strings.CutPrefix(s.rest, c)
	s.rest = after
	return comes
}

// token takes what comes next, as it is written: a word, a quoted text, or one character; empty at the
// end.
func (s *scanner) token() string {
	s.blank()
	n := tokenLength(s.rest)
	t := s.rest[:n]
	s.rest = s.rest[n:]
	return t
}

// group takes what comes next, with all between parentheses.
func (s *scanner) group() string {
	s.blank()
	begin, depth := s.rest, 0
	for s.rest != "" {
		switch s.token() {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		}
		if depth <= 0 {
			break
		}
	}
	return begin[:len(begin)-len(s.rest)]
}

// ident takes one identifier, quoted or not.
func (s *scanner) ident() (string, error) {
	s.blank()
	n := identLength(s.rest)
	if strings.HasPrefix(s.rest, `"`) {
		n = quotedLength(s.rest)
	}
	_, name, err := change.ParseName("x." + s.rest[:n])
	if err != nil {
		return "", unfit("there is no name where one belongs, before %.20q", s.rest)
	}
	s.rest = s.rest[n:]
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

// quotedLength is that of a text between two quotes, a doubled one inside standing for itself.
func quotedLength(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			continue
		}
		if i+1 == len(s) || s[i+1] != s[0] {
			return i + 1
		}
		i++
	}
	return len(s)
}

func tokenLength(s string) int {
	n := identLength(s)
	switch {
	case n == 1 && (s[0] == 'e' || s[0] == 'E') && strings.HasPrefix(s[1:], "'"):
		return 1 + escapedLength(s[1:])
	case n > 0:
		return n
	case strings.HasPrefix(s, "'"), strings.HasPrefix(s, `"`):
		return quotedLength(s)
	case strings.HasPrefix(s, "$"):
		return dollarLength(s)
	}
	_, n = utf8.DecodeRuneInString(s)
	return n
}

// escapedLength is that of a text in which a backslash takes its meaning from what follows.
func escapedLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\'':
			return i + 1
		}
	}
	return len(s)
}

// dollarLength is that of a text between two equal tags, or of the character alone (PostgreSQL manual,
// 4.1.2.4).
func dollarLength(s string) int {
	end := 1 + strings.IndexByte(s[1:], '$')
	if end == 0 || identLength(s[1:end]) != end-1 {
		return 1
	}
	tag := s[:end+1]
	n := strings.Index(s[len(tag):], tag)
	if n < 0 {
		return len(s)
	}
	return 2*len(tag) + n
}
