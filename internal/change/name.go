package change

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNameBytes is PostgreSQL's NAMEDATALEN less its terminator: longer names are cut by the server,
// so two of them may mean one table.
const maxNameBytes = 63

// ParseName reads a table's name as SQL writes it: schema.table, where a part in double quotes is
// taken as it stands ("" inside stands for one quote) and any other part is folded to lower case
// (PostgreSQL manual, 4.1.1 Identifiers and Key Words). The schema must be there: a search path
// would make the meaning of a configuration depend on the connection.
func ParseName(s string) (schema, name string, err error) {
	parts, err := parseParts(s, false)
	if err != nil {
		return "", "", err
	}
	return parts[0].text, parts[1].text, nil
}

// FormatName writes a table's name so that ParseName gives it back, quoted only where needed.
func FormatName(schema, name string) string { return quoteIdent(schema) + "." + quoteIdent(name) }

func quoteIdent(s string) string {
	p, rest, err := scanIdent(s, false)
	if err == nil && rest == "" && p.text == s && !strings.HasPrefix(s, `"`) {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// part is one identifier of a name; pattern says that * in it stands for any characters.
type part struct {
	text    string
	pattern bool
}

func parseParts(s string, patterns bool) ([2]part, error) {
	schema, rest, err := scanIdent(s, patterns)
	if err != nil {
		return [2]part{}, fmt.Errorf("%q is not a table name: %w", s, err)
	}
	if rest == "" {
		return [2]part{}, fmt.Errorf("%q is not a table name: the schema is missing: write it as public.%s", s, s)
	}
	if rest[0] != '.' {
		return [2]part{}, fmt.Errorf("%q is not a table name: unexpected %q after the schema; quote a name with such characters", s, rest[:1])
	}
	table, rest, err := scanIdent(rest[1:], patterns)
	if err != nil {
		return [2]part{}, fmt.Errorf("%q is not a table name: %w", s, err)
	}
	if rest != "" {
		return [2]part{}, fmt.Errorf(`%q is not a table name: unexpected %q after schema.table; quote a name with such characters, for example public."my.table"`, s, rest)
	}
	return [2]part{schema, table}, nil
}

func scanIdent(s string, patterns bool) (p part, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		p.text, rest, err = scanQuoted(s[1:])
	} else {
		p, rest, err = scanPlain(s, patterns)
	}
	if err == nil && len(p.text) > maxNameBytes {
		err = fmt.Errorf("%q has %d bytes, PostgreSQL keeps %d", p.text, len(p.text), maxNameBytes)
	}
	return p, rest, err
}

func scanQuoted(s string) (text, rest string, err error) {
	var b strings.Builder
	for {
		head, tail, ok := strings.Cut(s, `"`)
		if !ok {
			return "", "", errors.New("a double quote is not closed")
		}
		b.WriteString(head)
		if !strings.HasPrefix(tail, `"`) {
			rest = tail
			break
		}
		b.WriteByte('"')
		s = tail[1:]
	}
	text = b.String()
	if text == "" || strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
		return "", "", errors.New("a quoted part must be UTF-8 text, not empty and without the character 0")
	}
	return text, rest, nil
}

func scanPlain(s string, patterns bool) (p part, rest string, err error) {
	end := 0
	for i, r := range s {
		if r == '*' && patterns {
			p.pattern = true
		} else if !identRune(r, i == 0) {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	if end == 0 {
		return p, s, errors.New("a part starts with a letter or _, or is in double quotes")
	}
	p.text = foldASCII(s[:end])
	return p, s[end:], nil
}

// identRune follows the scanner of PostgreSQL: letters, _ and everything beyond ASCII may start a
// name, digits and $ may follow.
func identRune(r rune, first bool) bool {
	switch {
	case r == utf8.RuneError:
		return false
	case r == '_' || r >= 0x80 || unicode.IsLetter(r):
		return true
	default:
		return !first && (r == '$' || r >= '0' && r <= '9')
	}
}

func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
