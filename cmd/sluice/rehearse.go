package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/sink/postgres"
)

type rehearseCmd struct {
	Sink  string `arg:"" optional:"" help:"The sink; all when left out."`
	Table string `placeholder:"TABLE" help:"One table only, by its name at the destination or at the source."`
	Rows  int    `default:"5" placeholder:"N" help:"How many rows of each table to sample."`
	JSON  bool   `name:"json" help:"As JSON."`
}

// Help is shown by "sluice rehearse --help".
func (rehearseCmd) Help() string {
	return "Plays an insert, an update, a delete and a TRUNCATE of a few rows that are at the destination, as the sink would apply them, in transactions that are rolled back. " +
		"It waits half a second for a lock and five for a statement, leaves out rows that somebody has locked, and leaves the running sink alone. " +
		"A rollback does not take back that sequences advance, nor what triggers do outside of the database. " +
		"Exits 3 when something dangerous would happen: another table's rows would go or change, or a statement would fail."
}

// maxRehearsed bounds a sample: its rows are locked, for a moment.
const maxRehearsed = 1000

// rehearsed is a sink's part of the answer.
type rehearsed struct {
	Sink   string               `json:"sink"`
	Tables []postgres.Rehearsal `json:"tables"`
}

// rehearser is a destination that can rehearse.
type rehearser interface {
	Rehearse(ctx context.Context, want func(*postgres.Table) bool, rows int) ([]postgres.Rehearsal, error)
}

// Run rehearses and prints what would happen.
func (c *rehearseCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if c.Rows < 1 || c.Rows > maxRehearsed {
		return usageError{fmt.Errorf("--rows is %d: want 1 to %d", c.Rows, maxRehearsed)}
	}
	names, err := c.sinks(cfg)
	if err != nil {
		return err
	}
	all := []rehearsed{}
	for _, name := range names {
		r := rehearsed{Sink: name}
		if r.Tables, err = c.rehearse(a.ctx, cfg.Sinks[name]); err != nil {
			return err
		}
		all = append(all, r)
	}
	if err := c.print(a.out, all); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return verdict(all)
}

// sinks lists those that are meant and have the table.
func (c *rehearseCmd) sinks(cfg *config.Config) (names []string, err error) {
	if _, known := cfg.Sinks[c.Sink]; c.Sink != "" && !known {
		return nil, usageError{fmt.Errorf("there is no sink %s: the configuration has %s", c.Sink, strings.Join(sinkNames(cfg), ", "))}
	}
	for _, name := range sinkNames(cfg) {
		if (c.Sink == "" && cfg.Sinks[name].Type != config.TypeHTTP || c.Sink == name) && c.writes(cfg.Sinks[name]) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, usageError{fmt.Errorf("no sink writes a table %s: name it as in the configuration, for example public.customers", c.Table)}
	}
	return names, nil
}

func (c *rehearseCmd) writes(s config.Sink) bool {
	for _, t := range s.Tables {
		if c.Table == "" || spelled(t.To) == spelled(c.Table) || spelled(t.From) == spelled(c.Table) {
			return true
		}
	}
	return false
}

func (c *rehearseCmd) rehearse(ctx context.Context, s config.Sink) ([]postgres.Rehearsal, error) {
	dest, err := newDestination(s, slog.New(slog.DiscardHandler), nil, nil)
	if err != nil {
		return nil, err
	}
	r, can := dest.(rehearser)
	if !can {
		return nil, usageError{fmt.Errorf("sink %s is of type %s, where nothing can be rolled back: it cannot be rehearsed", s.Name, s.Type)}
	}
	wanted := map[string]bool{}
	for _, t := range s.Tables {
		wanted[spelled(t.To)] = wanted[spelled(t.To)] || c.Table == "" || spelled(t.To) == spelled(c.Table) || spelled(t.From) == spelled(c.Table)
	}
	return r.Rehearse(ctx, func(t *postgres.Table) bool { return wanted[t.Destination()] }, c.Rows)
}

// verdict is bad for a danger. What could not be found out is a failure.
func verdict(all []rehearsed) error {
	bad, unfinished := false, ""
	for _, r := range all {
		for _, t := range r.Tables {
			for _, act := range t.Acts {
				bad = bad || len(act.Dangers) > 0
				if act.Unfinished != "" {
					unfinished = act.Statement + " of " + t.Table + ": " + act.Unfinished
				}
			}
		}
	}
	switch {
	case bad:
		return errBad
	case unfinished != "":
		return errors.New("not all could be rehearsed, ask again later: " + config.Redact(unfinished))
	}
	return nil
}

func (c *rehearseCmd) print(w io.Writer, all []rehearsed) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(all)
	}
	for _, r := range all {
		for i := range r.Tables {
			if err := printRehearsal(w, r.Sink, &r.Tables[i]); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintln(w, "All of it was rolled back.")
	return err
}

func printRehearsal(w io.Writer, sink string, r *postgres.Rehearsal) error {
	rows := "rows not counted yet"
	if r.Rows > 0 {
		rows = fmt.Sprintf("about %d rows", r.Rows)
	}
	fmt.Fprintf(w, "sink %s, table %s: %s, deletes: %s, truncate: %s\n", sink, r.Table, rows, r.Deletes, r.Truncate)
	if r.Skipped != "" {
		_, err := fmt.Fprintf(w, "  nothing to rehearse: %s\n\n", r.Skipped)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  STATEMENT\tSAMPLE\tTIME\tTABLE\tINSERTED\tUPDATED\tDELETED\tTHROUGH")
	for i := range r.Acts {
		actRows(t, &r.Acts[i])
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range r.Acts {
		printRemarks(w, &r.Acts[i])
	}
	_, err := fmt.Fprintln(w)
	return err
}

// actRows gives a line for each table that a statement writes to.
func actRows(t io.Writer, a *postgres.Act) {
	head := fmt.Sprintf("%s\t%d\t%.1f ms", a.Statement, a.Sample, a.Millis)
	if len(a.Tables) == 0 {
		fmt.Fprintf(t, "  %s\t-\n", head)
	}
	for i, r := range a.Tables {
		if i > 0 {
			head = "\t\t"
		}
		fmt.Fprintf(t, "  %s\t%s\t%d\t%d\t%d\t%s\n", head, r.Table, r.Inserted, r.Updated, r.Deleted, r.Through)
	}
}

// printRemarks tells what a statement fires and locks, and what is wrong with it.
func printRemarks(w io.Writer, a *postgres.Act) {
	for _, f := range a.Triggers {
		fmt.Fprintf(w, "  %s: trigger %s on %s calls %s\n", a.Statement, f.Name, f.Table, f.Function)
	}
	if len(a.Locks) > 0 {
		var locks []string
		for _, l := range a.Locks {
			locks = append(locks, fmt.Sprintf("%d %s on %s", l.Count, l.Mode, l.Table))
		}
		fmt.Fprintf(w, "  %s: locks beside those of the rows: %s\n", a.Statement, strings.Join(locks, ", "))
	}
	for _, n := range a.Notes {
		fmt.Fprintf(w, "  %s: %s\n", a.Statement, n)
	}
	if a.Unfinished != "" {
		fmt.Fprintf(w, "  %s: NOT FOUND OUT: %s\n", a.Statement, config.Redact(a.Unfinished))
	}
	for _, d := range a.Dangers {
		fmt.Fprintf(w, "  %s: DANGER: %s\n", a.Statement, config.Redact(d))
	}
}
