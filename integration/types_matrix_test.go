package integration

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/types.md and the files of testdata anew")

// matrix gathers what became of every type.
type matrix struct {
	order []string
	lines map[string]*matrixLine
	runs  int // that came to their end
}

// matrixLine is one type.
type matrixLine struct {
	avro    string
	foreign bool                    // of an extension that PostgreSQL does not come with
	classes [4]int                  // values of each class
	special [4]int                  // of them, those that stand in special
	forms   map[int]string          // by row: the Avro form that all ways must give
	failed  map[string]map[int]bool // by mode and version
	seen    map[string]map[int]bool
}

func newMatrix() *matrix { return &matrix{lines: map[string]*matrixLine{}} }

func (m *matrix) line(name string) *matrixLine {
	l := m.lines[name]
	if l == nil {
		l = &matrixLine{forms: map[int]string{}, failed: map[string]map[int]bool{}, seen: map[string]map[int]bool{}}
		for _, mode := range []string{binaryMode, textMode, snapshotMode} {
			l.failed[mode], l.seen[mode] = map[int]bool{}, map[int]bool{}
		}
		m.lines[name] = l
		m.order = append(m.order, name)
	}
	return l
}

func (m *matrix) note(name, mode string, version int, ok bool) {
	l := m.line(name)
	l.seen[mode][version] = true
	if !ok {
		l.failed[mode][version] = true
	}
}

func (m *matrix) count(c *typeCase) {
	l := m.line(c.name)
	l.foreign = c.extension == "postgis" || c.extension == "vector"
	for i, class := range c.classes() {
		l.classes[i] = len(class)
	}
}

// form notes a value's Avro form, and gives the earlier one where it was another.
func (m *matrix) form(c *typeCase, row int, avro, form string, special bool) (before string) {
	l := m.line(c.name)
	l.avro = avro
	if known, ok := l.forms[row]; ok {
		if known != form {
			return known
		}
		return ""
	}
	l.forms[row] = form
	if special {
		l.special[c.classOf(row)]++
	}
	return ""
}

const (
	matrixBegin = "<!-- matrix: go test ./integration -run TestTypes -update -->\n"
	matrixEnd   = "<!-- end of matrix -->\n"
)

func (m *matrix) table() []string {
	lines := []string{
		"| type | Avro | empty | ordinary | extremes | specials | stream, binary | stream, text | snapshot |",
		"|---|---|---|---|---|---|---|---|---|",
	}
	for _, name := range m.order {
		lines = append(lines, m.lines[name].String(name))
	}
	return lines
}

// String is the type's line; NULL is tried with every type.
func (l *matrixLine) String(name string) string {
	cells := []string{"`" + name + "`", l.avro}
	for i, n := range l.classes {
		cell := "–"
		if n > 0 {
			cell = fmt.Sprint(n)
		}
		if l.special[i] > 0 {
			cell += fmt.Sprintf(" (%d in `special`)", l.special[i])
		}
		cells = append(cells, cell)
	}
	for _, mode := range []string{binaryMode, textMode, snapshotMode} {
		cells = append(cells, l.verdict(mode))
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

func (l *matrixLine) verdict(mode string) string {
	var equal []string
	for _, version := range []int{15, 18} {
		if l.seen[mode][version] && !l.failed[mode][version] {
			equal = append(equal, fmt.Sprint(version))
		}
	}
	if equal == nil {
		return "–"
	}
	return strings.Join(equal, " ")
}

// check compares the document with what was found, or writes it, which wants a machine with PostGIS. The
// verdict on a type that not every machine has is not compared.
func (m *matrix) check(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), matrixBegin)
	old, tail, closed := strings.Cut(rest, matrixEnd)
	if !ok || !closed {
		t.Fatalf("%s has no place for the matrix", file)
	}
	if *update {
		next := head + matrixBegin + strings.Join(m.table(), "\n") + "\n" + matrixEnd + tail
		if err := os.WriteFile(file, []byte(next), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	there := strings.Split(old, "\n")
	for _, name := range m.order {
		l := m.lines[name]
		if line := l.String(name); !l.foreign && !slices.Contains(there, line) {
			t.Errorf("%s is not current: it lacks\n%s\nrun go test ./integration -run TestTypes -update", file, line)
		}
	}
}
