package capture

import "strings"

// withoutReferences puts a check that always holds in the place of each foreign key: a temporary table
// may not refer to others, and the one that is referred to would be locked.
func withoutReferences(sql string) string {
	var b strings.Builder
	copied := 0
	s := scanner{sql}
	for s.blank(); s.rest != ""; s.blank() {
		ahead := s
		if ahead.skip("foreign", "key") {
			ahead.group()
		}
		if !ahead.skip("references") {
			s.token()
			continue
		}
		b.WriteString(sql[copied:len(sql)-len(s.rest)] + "CHECK (true) ")
		ahead.reference()
		s, copied = ahead, len(sql)-len(ahead.rest)
	}
	return b.String() + sql[copied:]
}

// reference passes over what follows REFERENCES.
func (s *scanner) reference() {
	if _, err := s.name(); err != nil {
		return
	}
	s.blank()
	if strings.HasPrefix(s.rest, "(") {
		s.group()
	}
	for s.skip("match") && s.word() != "" || s.skip("on") && s.action() || s.deferred() {
	}
}

// action passes over what follows ON.
func (s *scanner) action() bool {
	s.word()
	switch s.word() {
	case "no":
		s.word()
	case "set":
		s.word()
		s.blank()
		if strings.HasPrefix(s.rest, "(") {
			s.group()
		}
	}
	return true
}

func (s *scanner) deferred() bool {
	return s.skip("not", "deferrable") || s.skip("deferrable") || s.skip("initially", "deferred") || s.skip("initially", "immediate")
}
