package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// Error is one fault of a configuration file, with the place it stands at. Its text never shows a
// secret: excerpts are redacted.
type Error struct {
	File         string
	Line, Column int // from 1; 0 when the fault has no place, such as a file that cannot be read
	Excerpt      string
	Message      string
}

// Error gives file:line:column, the message, and below it the lines concerned.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": " + e.Message)
	if e.Excerpt != "" {
		b.WriteString("\n" + e.Excerpt)
	}
	return b.String()
}

// faults gathers the errors of one file, so that a person mends them in one go.
type faults struct {
	file  string
	lines []string
	list  []*Error
}

// maxFaults bounds the report: after ten the file is more likely of another kind than mistyped.
const maxFaults = 10

func newFaults(file string, src []byte) *faults {
	return &faults{file: file, lines: strings.Split(string(src), "\n")}
}

// add notes a fault at the token, which may be nil.
func (f *faults) add(at *token.Token, format string, args ...any) {
	if len(f.list) >= maxFaults {
		return
	}
	e := &Error{File: f.file, Message: fmt.Sprintf(format, args...)}
	if at != nil && at.Position != nil {
		e.Line, e.Column = at.Position.Line, at.Position.Column
		e.Excerpt = f.excerpt(e.Line, e.Column)
	}
	f.list = append(f.list, e)
}

// err gives the faults in the order of their lines; nil when there are none.
func (f *faults) err() error {
	slices.SortStableFunc(f.list, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	all := make([]error, len(f.list))
	for i, e := range f.list {
		all[i] = e
	}
	return errors.Join(all...)
}

// excerpt shows the line of the fault, the one before it and a caret.
func (f *faults) excerpt(line, column int) string {
	var b strings.Builder
	for n := max(line-1, 1); n <= min(line, len(f.lines)); n++ {
		mark := " "
		if n == line {
			mark = ">"
		}
		text := strings.TrimRight(f.lines[n-1], " \r")
		shown := clip(redactLine(text))
		if n == line || text != "" {
			fmt.Fprintf(&b, "%s %4d | %s\n", mark, n, shown)
		}
		if n == line && shown == text { // else the columns are others
			fmt.Fprintf(&b, "       | %s^", strings.Repeat(" ", max(column-1, 0)))
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// maxExcerpt is the length that a line is shown to, in bytes.
const maxExcerpt = 160

func clip(s string) string {
	if len(s) <= maxExcerpt {
		return s
	}
	return strings.ToValidUTF8(s[:maxExcerpt], "") + " ..."
}
