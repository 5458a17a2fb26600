package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// screen prints for people: with colours and rewritten lines on a terminal, plain lines elsewhere.
type screen struct {
	out          io.Writer
	colour, live bool
	wrote        bool // an unfinished line stands on the terminal
	rewrote      time.Time
}

// style is one SGR sequence (ECMA-48, 8.3.117).
type style string

const (
	bold  style = "1"
	dim   style = "2"
	red   style = "31"
	green style = "32"
	blue  style = "36"
)

func (s *screen) paint(with style, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + string(with) + "m" + text + "\x1b[0m"
}

func (s *screen) print(text string) {
	if s.wrote {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.wrote = false
	}
	fmt.Fprintln(s.out, text)
}

func (s *screen) blank()           { s.print("") }
func (s *screen) line(text string) { s.print("  " + text) }

func (s *screen) title(text string) {
	s.blank()
	s.print(s.paint(bold, text))
	s.blank()
}

func (s *screen) heading(text string) {
	s.blank()
	s.print("  " + s.paint(bold, text))
}

// fact prints a name and what is known of it.
func (s *screen) fact(name, text string) {
	s.line(s.paint(dim, fmt.Sprintf("%-12s", name)) + text)
}

// rewriteEvery keeps a line that counts readable.
const rewriteEvery = 100 * time.Millisecond

// waiting rewrites one line; off a terminal it prints nothing.
func (s *screen) waiting(text string) {
	if !s.live || time.Since(s.rewrote) < rewriteEvery {
		return
	}
	s.rewrote = time.Now()
	fmt.Fprint(s.out, "\r\x1b[K  "+s.paint(dim, text))
	s.wrote = true
}

// change prints what was done at the source, a line for each statement.
func (s *screen) change(what, sql string) {
	s.blank()
	s.line(s.paint(blue, "crm      ") + what)
	for statement := range strings.SplitSeq(sql, ";") {
		s.line("         " + s.paint(dim, strings.Join(strings.Fields(statement), " ")))
	}
}

// arrived prints what came of it at the destination, and how long after the source's commit.
func (s *screen) arrived(what string, after time.Duration) {
	s.line(s.paint(green, "billing  ") + what + "  " + s.paint(bold, millis(after)))
}

func (s *screen) verdict(same bool, took time.Duration) {
	s.blank()
	if same {
		s.print("  " + s.paint(green, "✓ both sides hold the same") + s.paint(dim, fmt.Sprintf("  (%.1f s in all)", took.Seconds())))
	} else {
		s.print("  " + s.paint(red, "✗ the destination differs from the source"))
	}
}

// millis gives a latency in milliseconds with two digits at least.
func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// thousands writes a count with separators.
func thousands(n int64) string {
	text := fmt.Sprint(n)
	var groups []string
	for len(text) > 3 {
		groups = append([]string{text[len(text)-3:]}, groups...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, groups...), ",")
}
