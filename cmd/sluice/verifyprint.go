package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sluicecdc/sluice/internal/verify"
	"github.com/sluicecdc/sluice/sink"
)

// shownRows is how many rows of a table are shown to people, keptSamples of each kind in sluice.drift.
const (
	shownRows   = 20
	keptSamples = 100
)

// say prints for people.
func (k *sinkJob) say(format string, args ...any) {
	if !k.JSON {
		fmt.Fprintf(k.a.out, format, args...)
	}
}

// driftRow is a row in JSON.
type driftRow struct {
	Sink        string `json:"sink"`
	Table       string `json:"table"`
	Destination string `json:"destination"`
	verify.Row
}

// driftTable is a table's result in JSON.
type driftTable struct {
	Sink string `json:"sink"`
	*verify.Result
	Equal bool `json:"equal"`
}

// row prints a row in JSON as it is found.
func (k *sinkJob) row(r *verify.Result, row *verify.Row) {
	if k.JSON {
		_ = json.NewEncoder(k.a.out).Encode(driftRow{k.s.Name, r.Table, r.Destination, *row}) // the table's line fails too
	}
}

// print prints a table's result.
func (k *sinkJob) print(r *verify.Result) error {
	if k.JSON {
		if err := json.NewEncoder(k.a.out).Encode(driftTable{k.s.Name, r, r.Drift() == 0}); err != nil {
			return fmt.Errorf("cannot print: %w", err)
		}
		return nil
	}
	if k.Continuous && r.Drift()+r.Undecided == 0 {
		return nil // again and again nothing
	}
	k.say("%-6s  %s: %s to %s: %s\n", mark(r), k.s.Name, r.Table, r.Destination, inWords(r))
	for i := range r.Rows {
		if i == shownRows {
			k.say("          and %d more (--json shows all)\n", r.Drift()-shownRows)
			break
		}
		k.say("          %s\n", rowText(&r.Rows[i]))
	}
	if r.Parked > 0 {
		k.say("          what is parked is in order again after sluice dlq replay %s: sluice dlq list %s says why it is there\n", k.s.Name, k.s.Name)
	}
	return nil
}

// mark says in a word what a table is.
func mark(r *verify.Result) string {
	switch {
	case r.Drift() > 0:
		return "DRIFT"
	case r.Parked > 0:
		return "parked"
	}
	return "equal"
}

// inWords says what a table's result is.
func inWords(r *verify.Result) string {
	var parts []string
	for _, kind := range verify.Kinds {
		if n := r.Count(kind); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, kind))
		}
	}
	if len(parts) == 0 {
		parts = []string{"no row differs"}
	}
	text := fmt.Sprintf("%s (%d rows at the source, %d at the destination)", strings.Join(parts, ", "), r.SourceRows, r.DestinationRows)
	if r.Keyless && r.Drift() > 0 {
		text += "; without key, rows cannot be named, a different one counts as one missing and one extra, and the counts are at least so much"
	}
	if len(r.Absent) > 0 {
		text += "; not there yet and not compared: " + strings.Join(r.Absent, ", ") + ", which come with the table's next change"
	}
	if r.OneSided {
		text += "; rows that only the API has were not looked for: it is asked by the source's keys"
	}
	return text
}

func rowText(row *verify.Row) string {
	parts := make([]string, len(row.Key))
	for i, v := range row.Key {
		parts[i] = v.Column + "=" + v.Value
	}
	text := fmt.Sprintf("%s (%s)", row.Kind, strings.Join(parts, ", "))
	if len(row.Columns) > 0 {
		text += ": " + strings.Join(row.Columns, ", ")
	}
	return text
}

// save writes the results to the destination. all says that no table failed.
func (k *sinkJob) save(ctx context.Context, all bool) error {
	if k.dest == nil {
		return nil // an API keeps no results
	}
	var found []sink.Drift
	for _, r := range k.results {
		samples, err := samplesOf(r)
		if err != nil {
			return err
		}
		found = append(found, sink.Drift{
			Table: r.Table, Destination: r.Destination, Missing: r.Missing, Extra: r.Extra, Different: r.Different, Undecided: r.Undecided,
			VerifiedAt: r.At, Position: r.Position, Samples: samples,
		})
	}
	return k.dest.SaveDrift(ctx, found, all && len(k.Table) == 0)
}

func samplesOf(r *verify.Result) (map[string]json.RawMessage, error) {
	kinds := map[verify.Kind][]*verify.Row{}
	for i := range r.Rows {
		row := &r.Rows[i]
		if len(kinds[row.Kind]) < keptSamples {
			kinds[row.Kind] = append(kinds[row.Kind], row)
		}
	}
	samples := map[string]json.RawMessage{}
	for kind, rows := range kinds {
		b, err := json.Marshal(rows)
		if err != nil {
			return nil, err
		}
		samples[string(kind)] = b
	}
	return samples, nil
}
