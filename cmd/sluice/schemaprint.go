package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

func encodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

func (a *app) printShown(s *shownTable, asJSON bool) error {
	if asJSON {
		return encodeJSON(a.out, s)
	}
	key := strings.Join(s.Key, ", ")
	if key == "" {
		key = "none: records have no key and stand in partition 0"
	}
	fmt.Fprintf(a.out, "table    %s\ntopic    %s\nkey      %s\nidentity %s\n", s.Table, s.Topic, key, s.Identity)
	if s.Fault != "" {
		fmt.Fprintf(a.out, "FAULT    %s\n", s.Fault)
		printFix(a.out, s.Fix)
	}
	fmt.Fprintln(a.out)
	if err := s.columns(a.out); err != nil {
		return err
	}
	if len(s.Subjects) > 0 {
		fmt.Fprintln(a.out)
	}
	for _, subject := range s.Subjects {
		fmt.Fprintf(a.out, "subject  %s\n", subject.text())
	}
	return nil
}

func (s *shownTable) columns(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	sinks := slices.Sorted(maps.Keys(s.Sinks))
	fmt.Fprint(t, "COLUMN\tPOSTGRESQL\tAVRO")
	for _, name := range sinks {
		fmt.Fprintf(t, "\tSINK %s", name)
	}
	fmt.Fprintln(t)
	for _, c := range s.Columns {
		fmt.Fprintf(t, "%s\t%s\t%s", c.Name, c.declared(), c.record())
		for _, name := range sinks {
			fmt.Fprintf(t, "\t%s", c.at(s.Sinks[name]))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func (c *shownColumn) declared() string {
	switch {
	case c.Made:
		return c.Type + ", by a transform"
	case c.Key:
		return c.Type + ", key"
	case c.NotNull:
		return c.Type + ", not null"
	}
	return c.Type
}

func (c *shownColumn) record() string {
	switch {
	case c.Avro != "":
		return c.Avro
	case c.Generated:
		return "none: it is generated and cannot be computed from the log"
	}
	return "none: a transform takes it out"
}

func (c *shownColumn) at(targets []sinkTarget) string {
	var places []string
	for i := range targets {
		for _, name := range targets[i].of(c.Name) {
			if c.Avro != "" {
				places = append(places, targets[i].Table+"."+name)
			}
		}
	}
	if len(places) == 0 {
		return "-"
	}
	return strings.Join(places, ", ")
}

func (s *shownSubject) text() string {
	if len(s.Versions) == 0 {
		return s.Subject + ": not registered yet; capture registers it at the table's first record"
	}
	versions := fmt.Sprintf("version %d", s.Versions[0])
	if n := len(s.Versions); n > 1 {
		versions = fmt.Sprintf("%d versions, the newest %d", n, s.Versions[n-1])
	}
	age := "the table as it is"
	if !s.Current {
		age = "an earlier shape of the table: capture registers the present one at its next record"
	}
	return fmt.Sprintf("%s: %s, id %d, %s", s.Subject, versions, s.ID, age)
}

func (a *app) printVerdict(v *ddlVerdict, asJSON bool) error {
	if asJSON {
		return encodeJSON(a.out, v)
	}
	for _, c := range v.Columns {
		fmt.Fprintf(a.out, "column   %s\n", c.text())
	}
	if len(v.Columns) == 0 && len(v.Subjects) > 0 {
		fmt.Fprintln(a.out, "column   all stay as they are in records")
	}
	for _, s := range v.Subjects {
		fmt.Fprintf(a.out, "subject  %s: %s%s\n", s.Subject, s.Verdict, because(strings.Join(s.Reasons, "; ")))
	}
	for _, s := range v.Sinks {
		fmt.Fprintf(a.out, "sink     %s, table %s: %s\n", s.Sink, s.Table, s.What)
	}
	for _, why := range v.Reread {
		fmt.Fprintf(a.out, "reread   %s\n", why)
	}
	for _, note := range v.Notes {
		fmt.Fprintf(a.out, "note     %s\n", note)
	}
	for _, problem := range v.Problems {
		fmt.Fprintf(a.out, "PROBLEM  %s\n", problem)
	}
	switch {
	case v.Compatible && len(v.Reread) > 0:
		fmt.Fprintln(a.out, "compatible: capture and sinks go on by themselves, but what is named under reread stays missing until those rows are read again")
	case v.Compatible:
		fmt.Fprintln(a.out, "compatible: capture and sinks follow by themselves")
	}
	return nil
}

func (c *columnChange) text() string {
	switch c.Kind {
	case columnDropped:
		return c.Column + " is dropped"
	case columnRenamed:
		return c.Was + " is renamed to " + c.Column
	case columnRetyped:
		return c.Column + " changes from " + c.Old + " to " + c.Type + c.inAvro()
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
