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
