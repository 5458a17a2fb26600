package capture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// StatementError says that a statement was not rehearsed, because it is none that can be, or because
// PostgreSQL does not take it.
type StatementError struct{ Reason string }

func (e *StatementError) Error() string { return "cannot rehearse the statement: " + e.Reason }

func unfit(format string, args ...any) error {
	return &StatementError{fmt.Sprintf(format, args...)}
}

// objectName is a name as a statement has it.
type objectName struct {
	schema string // empty when the statement leaves it out
	name   string
}

func (n objectName) String() string {
	if n.schema == "" {
		return n.name
	}
	return change.FormatName(n.schema, n.name)
}

// ddl is a statement taken apart no further than its rehearsal needs: PostgreSQL itself reads the rest.
type ddl struct {
	text  string
	kind  string // "alter table"; empty for what says nothing about tables
	words []string
	names []objectName // what it is about
	index string       // of an index that is created, quoted; may be empty
	tail  string       // all after the names
}

// kinds are the statements that are known, by their first words.
var kinds = map[string]func(d *ddl, s *scanner) error{
	"alter table": (*ddl).one, "drop table": (*ddl).several, "create table": (*ddl).one, "truncate": (*ddl).truncated,
	"create index": (*ddl).indexed, "drop index": (*ddl).several, "alter index": (*ddl).one,
	"alter type": (*ddl).one, "alter domain": (*ddl).one,
	"alter publication": (*ddl).one, "drop publication": (*ddl).several,
	"comment on": nil, "begin": nil, "start transaction": nil, "commit": nil, "end": nil,
	"set lock_timeout": nil, "set statement_timeout": nil,
}

const knownKinds = "check-ddl knows ALTER, CREATE, DROP TABLE and TRUNCATE; ALTER TYPE and ALTER DOMAIN; CREATE, ALTER and DROP INDEX; " +
	"ALTER and DROP PUBLICATION; COMMENT; and BEGIN, COMMIT, SET lock_timeout and SET statement_timeout around them"

// adjectives stand between a verb and what it is about.
var adjectives = []string{"global", "local", "session", "temp", "temporary", "unlogged", "unique"}

// parseAll reads statements that are separated by semicolons.
func parseAll(sql string) ([]*ddl, error) {
	var all []*ddl
	for _, text := range split(sql) {
		d, err := parseDDL(text)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		return nil, unfit("there is none; %s", knownKinds)
	}
	return all, nil
}

// split cuts a text at its semicolons.
func split(sql string) (all []string) {
	s := scanner{sql}
	for s.blank(); s.rest != ""; s.blank() {
		begin := s.rest
		end := len(begin)
		for s.rest != "" {
			if s.token() == ";" {
				end = len(begin) - len(s.rest) - 1
				break
			}
		}
		if text := strings.TrimSpace(begin[:end]); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// parseDDL reads the head of a statement.
func parseDDL(sql string) (*ddl, error) {
	s := scanner{sql}
	d := &ddl{text: sql}
	kind := s.word()
	if _, alone := kinds[kind]; !alone {
		what := s.word()
		for slices.Contains(adjectives, what) {
			d.words = append(d.words, what)
			what = s.word()
		}
		kind = strings.TrimSpace(kind + " " + what)
	}
	parse, known := kinds[kind]
	if !known {
		return nil, unfit("%q is not known to check-ddl: %s", strings.ToUpper(kind), knownKinds)
	}
	if parse == nil {
		return d, nil
	}
	d.kind = kind
	if err := parse(d, &s); err != nil {
		return nil, err
	}
	s.blank()
	d.tail = s.rest
	if d.tail == "" && (strings.HasPrefix(kind, "alter") || kind == "create table") {
		return nil, unfit("it says nothing that is to be done to %s", d.names[0])
	}
	return d, nil
}

// one reads the name of one thing.
func (d *ddl) one(s *scanner) (err error) {
	if s.skip("if", "not", "exists") || s.skip("if", "exists") {
		d.words = append(d.words, "if")
	}
	s.skip("only")
	n, err := s.name()
	s.symbol("*")
	d.names = []objectName{n}
	return err
}

func (d *ddl) several(s *scanner) (err error) {
	s.skip("concurrently")
	if s.skip("if", "exists") {
		d.words = append(d.words, "if")
	}
	d.names, err = s.names()
	return err
}

func (d *ddl) truncated(s *scanner) (err error) {
	s.skip("table")
	d.names, err = s.names()
	return err
}

// indexed reads CREATE INDEX up to the table. An index needs no name.
func (d *ddl) indexed(s *scanner) error {
	s.skip("concurrently")
	s.skip("if", "not", "exists")
	if !s.skip("on") {
		n, err := s.ident()
		if err != nil {
			return err
		}
		d.index = quote(n)
		if !s.skip("on") {
			return unfit("there is no ON before the table of an index")
		}
	}
	s.skip("only")
	n, err := s.name()
	d.names = []objectName{n}
	return err
}

// has tells whether a word stood before the names.
func (d *ddl) has(word string) bool { return slices.Contains(d.words, word) }

// begins tells whether words follow the names, and gives what comes after them.
func (d *ddl) begins(words ...string) (scanner, bool) {
	s := scanner{d.tail}
	return s, s.skip(words...)
}

// renamed gives the name of ... RENAME TO.
func (d *ddl) renamed() (string, bool) {
	s, ok := d.begins("rename", "to")
	n, err := s.name()
	return n.name, ok && err == nil && n.schema == ""
}

// newSchema gives the schema of ... SET SCHEMA.
func (d *ddl) newSchema() (string, bool) {
	s, ok := d.begins("set", "schema")
	n, err := s.name()
	return n.name, ok && err == nil && n.schema == ""
}

// partition gives the partition of ATTACH or DETACH PARTITION.
func (d *ddl) partition(verb string) (objectName, bool) {
	s, ok := d.begins(verb, "partition")
	n, err := s.name()
	return n, ok && err == nil
}

// uses tells whether words stand in the tail one behind the other, outside of quotes and comments.
func (d *ddl) uses(words ...string) bool {
	for s := (scanner{d.tail}); ; {
		if s.skip(words...) {
			return true
		}
		if s.token() == "" {
			return false
		}
	}
}
