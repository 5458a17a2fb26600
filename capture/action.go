package capture

import "strings"

// actions cuts what an ALTER TABLE does at its commas.
func (d *ddl) actions() (all []string) {
	s := scanner{d.tail}
	for s.blank(); s.rest != ""; s.blank() {
		begin := s.rest
		for s.rest != "" && !strings.HasPrefix(s.rest, ",") {
			s.group()
			s.blank()
		}
		all = append(all, strings.TrimSpace(begin[:len(begin)-len(s.rest)]))
		s.symbol(",")
	}
	return all
}

// aside are actions that are not about columns, rows or identity, or that an empty table cannot show.
var aside = [][]string{
	{"owner"}, {"inherit"}, {"no", "inherit"}, {"enable"}, {"disable"}, {"force"}, {"no", "force"},
	{"set", "tablespace"}, {"cluster"}, {"set", "without", "cluster"},
}

// shown gives the actions that a stand-in is to take.
func (d *ddl) shown() (all []string) {
	for _, a := range d.actions() {
		if !beginsWithAny(a, aside) {
			all = append(all, a)
		}
	}
	return all
}

func beginsWithAny(action string, heads [][]string) bool {
	for _, words := range heads {
		if s := (scanner{action}); s.skip(words...) {
			return true
		}
	}
	return false
}

// computed names the columns whose values an expression of the statement's makes: ALTER COLUMN ... TYPE
// ... USING, unless it is the cast that PostgreSQL would make by itself.
func (d *ddl) computed() map[string]bool {
	columns := map[string]bool{}
	for _, a := range d.actions() {
		s := scanner{a}
		if !s.skip("alter") {
			continue
		}
		s.skip("column")
		column, err := s.ident()
		s.skip("set", "data")
		if err != nil || !s.skip("type") {
			continue
		}
		before, after := s.cut("using")
		if after != "" && !isCast(after, column, before) {
			columns[column] = true
		}
	}
	return columns
}

// cut gives what comes before and after a word, which does not stand in parentheses.
func (s *scanner) cut(word string) (before, after string) {
	begin := s.rest
	for s.blank(); s.rest != ""; s.blank() {
		before = begin[:len(begin)-len(s.rest)]
		if s.skip(word) {
			return before, s.rest
		}
		s.group()
	}
	return begin, ""
}

// isCast tells whether an expression is column::type.
func isCast(expression, column, typ string) bool {
	s := scanner{expression}
	name, err := s.ident()
	if err != nil || name != column || !s.symbol("::") {
		return false
	}
	return sameTokens(s.rest, typ)
}

func sameTokens(a, b string) bool {
	for x, y := (scanner{a}), (scanner{b}); ; {
		s, t := x.token(), y.token()
		if !strings.EqualFold(s, t) {
			return false
		}
		if s == "" {
			return true
		}
	}
}
