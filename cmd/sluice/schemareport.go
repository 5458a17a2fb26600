package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// reportWidth is where lines of a report are broken, and reportIndent where its texts begin.
const (
	reportWidth  = 100
	reportIndent = 9
)

func (a *app) printVerdict(v *ddlVerdict, asJSON bool) error {
	if asJSON {
		return encodeJSON(a.out, v)
	}
	r := ddlReport{a.out, a.colourful(a.out)}
	for i, s := range v.Statements {
		if len(v.Statements) > 1 {
			r.line(fmt.Sprintf("%d of %d", i+1, len(v.Statements)), strings.Join(strings.Fields(s.Statement), " "))
			fmt.Fprintln(r.out)
		}
		r.statement(s)
	}
	r.line("", v.summary())
	return nil
}

// summary is the last line.
func (v *ddlVerdict) summary() string {
	reread := slices.ContainsFunc(v.Statements, func(s *statementVerdict) bool {
		return slices.ContainsFunc(s.Tables, func(t *tableVerdict) bool { return len(t.Reread) > 0 })
	})
	switch {
	case !v.Compatible:
		return "NOT compatible: what is named under PROBLEM needs a person first"
	case reread:
		return "compatible: capture and sinks go on by themselves, but what is named under reread is missing behind the source until those rows are written again: UPDATE ... SET a column = itself brings them into the log"
	}
	return "compatible: capture and sinks follow by themselves"
}

// ddlReport is text for a terminal.
type ddlReport struct {
	out    io.Writer
	colour bool
}

// colours are those of labels on a terminal.
var colours = map[string]string{"PROBLEM": "31", "reread": "33"}

// line prints a text behind a label, broken into lines between words. A text without a label begins the line.
func (r *ddlReport) line(label, text string) {
	head := fmt.Sprintf("%-*s", reportIndent, label)
	if c := colours[label]; r.colour && c != "" {
		head = "\x1b[" + c + "m" + head + "\x1b[0m"
	}
	width := reportWidth - reportIndent
	if label == "" {
		head, width = "", reportWidth
	}
	for _, l := range broken(text, width) {
		fmt.Fprintln(r.out, strings.TrimRight(head+l, " "))
		if head != "" {
			head = strings.Repeat(" ", reportIndent)
		}
	}
}

// broken breaks a text into lines of at most width characters, where its words are not longer. What follows
// its first line is an excerpt, and stays as it is.
func broken(text string, width int) (lines []string) {
	text, excerpt, _ := strings.Cut(text, "\n")
	line := ""
	for _, word := range strings.Split(text, " ") {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line = word
			continue
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	lines = append(lines, line)
	if excerpt != "" {
		lines = append(lines, strings.Split(excerpt, "\n")...)
	}
	return lines
}

func (r *ddlReport) statement(s *statementVerdict) {
	for _, t := range s.Tables {
		r.table(t)
		fmt.Fprintln(r.out)
	}
	for _, n := range s.Notes {
		r.line("note", n)
	}
	for _, p := range s.Problems {
		r.line("PROBLEM", p)
	}
	if len(s.Notes)+len(s.Problems) > 0 {
		fmt.Fprintln(r.out)
	}
}

func (r *ddlReport) table(t *tableVerdict) {
	name := t.Table
	if t.Was != "" {
		name += ", before " + t.Was
	}
	if t.New {
		name += ", new to capture"
	}
	r.line("table", name)
	if t.Topic != "" {
		r.line("topic", t.Topic)
	}
	if t.Unchanged {
		r.line("records", "stay as they are")
	}
	for _, c := range t.Columns {
		r.line("column", c.text(t.New))
	}
	for _, s := range t.Subjects {
		if s.Verdict != subjectSame {
			r.line("subject", s.Subject+": "+s.Verdict+because(strings.Join(s.Reasons, "; ")))
		}
	}
	for _, s := range t.Sinks {
		if !s.Held && !s.Stale { // a problem, otherwise
			r.line("sink", strings.TrimPrefix(s.text(), "sink "))
		}
	}
	r.texts(t)
}

func (r *ddlReport) texts(t *tableVerdict) {
	for _, why := range t.Reread {
		r.line("reread", why)
	}
	for _, n := range t.Notes {
		r.line("note", n)
	}
	for _, p := range t.Problems {
		r.line("PROBLEM", p)
	}
}

func (c *columnChange) text(first bool) string {
	switch c.Kind {
	case columnDropped:
		return c.Column + " is dropped"
	case columnRenamed:
		return c.Was + " is renamed to " + c.Column
	case columnRetyped:
		return c.Column + " changes from " + c.Old + " to " + c.Type + c.inAvro()
	}
	if first {
		return c.Column + ": " + c.Type + c.inAvro()
	}
	return c.Column + " is added: " + c.Type + c.inAvro()
}

// inAvro is empty where no schema could be made.
func (c *columnChange) inAvro() string {
	if c.Avro == "" {
		return ""
	}
	return ", in Avro " + c.Avro
}
