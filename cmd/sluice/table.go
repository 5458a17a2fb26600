package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/sink"
)

// table prints the overview for people: one line for capture, one for each sink, and one for each
// process that is not there.
func (o overview) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	if len(o.answered()) > 0 {
		fmt.Fprintln(t, "PART\tSTATE\tLAG\tPOSITION\t")
	}
	for _, p := range o.answered() {
		p.Status.rows(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := o.waiting(w); err != nil {
		return err
	}
	return o.absent(w)
}

func (s *processStatus) rows(t io.Writer) {
	if c := s.Capture; c != nil {
		behind := "unknown"
		if c.LagSeconds != nil {
			behind = lag(*c.LagSeconds)
		}
		fmt.Fprintf(t, "capture %s\t%s\t%s\tconfirmed %s\tslot %s holds %s of log\n", s.Source, c.State, behind,
			c.ConfirmedLSN, c.Slot.Name, bytesText(c.Slot.WALBytes))
		for i := range c.Tables {
			c.Tables[i].row(t)
		}
		for i := range c.Copies {
			copyRow(t, &c.Copies[i])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Sinks)) {
		k := s.Sinks[name]
		fmt.Fprintf(t, "sink %s\t%s\t%s\tapplied %s\t%s%s\n", name, k.State, lag(k.LagSeconds), k.AppliedLSN, k.progress(), because(k.reason()))
		for _, a := range k.Awaited {
			fmt.Fprintf(t, "awaited %s\t%s\t%s\t\t%d rows of which values did not travel; sluice snapshot list shows the copy await/%s/... that brings them\n",
				name, a.Table, lag(time.Since(a.Since).Seconds()), a.Rows, name)
		}
		for i := range k.Drift {
			driftLine(t, name, &k.Drift[i])
		}
	}
}

// waiting shows what waits for a person, with the commands that settle it.
func (o overview) waiting(w io.Writer) error {
	for _, p := range o.answered() {
		for _, name := range slices.Sorted(maps.Keys(p.Status.Sinks)) {
			k := p.Status.Sinks[name]
			if k.Waiting == nil || !k.Waiting.Kind.Decidable() {
				continue
			}
			if _, err := fmt.Fprintln(w, waitingText(name, k.Waiting)); err != nil {
				return err
			}
		}
	}
	return nil
}

// reason says why a sink does not run, in short where waiting says it at length.
func (k sinkStatus) reason() string {
	if k.Waiting != nil && k.Waiting.Kind.Decidable() {
		return k.Waiting.Counted() + ", see below"
	}
	return k.Reason
}

// driftLine shows a table that was not as it should be when it was verified last.
func driftLine(t io.Writer, name string, d *sink.Drift) {
	if d.Missing+d.Extra+d.Different == 0 {
		return
	}
	fmt.Fprintf(t, "drift %s\t%s\t\t\t%d missing, %d extra, %d different at %s; sluice verify %s --repair mends it\n", d.Table, d.Destination,
		d.Missing, d.Extra, d.Different, d.VerifiedAt.Format(time.RFC3339), name)
}

// copyRow shows a copy that is under way or did not come to its end.
func copyRow(t io.Writer, s *capture.CopyStatus) {
	if s.State == capture.CopyDone {
		return
	}
	fmt.Fprintf(t, "copy %s\t%s\t%s\t%s rows\t%s %s\n", s.ID, s.State, leftOf(s), rowsOf(s), rateOf(s), s.Reason)
}

// row shows a table that is in trouble.
func (s *tableStatus) row(t io.Writer) {
	if s.Reason == "" {
		return
	}
	state := "captured"
	switch {
	case s.Held:
		state = "held"
	case !s.Captured:
		state = "not captured"
	}
	fmt.Fprintf(t, "table %s\t%s\t\t\t%s\n", s.Table, state, s.Reason)
}

func (k sinkStatus) progress() string {
	var parts []string
	if !k.AppliedTime.IsZero() {
		parts = append(parts, "of "+k.AppliedTime.UTC().Format("2006-01-02 15:04:05.000Z"))
	}
	switch {
	case len(k.Awaited) > 0:
		parts = append(parts, "not complete: it waits for rows")
	case !k.Complete:
		parts = append(parts, "first snapshot under way")
	}
	if k.Parked > 0 {
		parts = append(parts, fmt.Sprintf("%d records parked", k.Parked))
	}
	if w := k.LastForeignWrite; w != nil {
		parts = append(parts, fmt.Sprintf("%d foreign writes, last %s of %s by %s at %s", k.ForeignWrites, w.Operation, w.Table, w.Login, w.At.UTC().Format(time.RFC3339)))
	}
	return strings.Join(parts, ", ")
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// absent says which processes gave no answer. A sink's address without a process is quiet when the
// other process serves the sinks too.
func (o overview) absent(w io.Writer) error {
	served := false
	for _, p := range o.answered() {
		served = served || len(p.Status.Sinks) > 0
	}
	for _, key := range slices.Sorted(maps.Keys(o.Processes)) {
		p := o.Processes[key]
		if p.Status != nil || key == "console.sink_listen" && served {
			continue
		}
		if _, err := fmt.Fprintf(w, "no process at %s (%s): %s\n", p.Address, key, p.Error); err != nil {
			return err
		}
	}
	return nil
}

// lag gives seconds in the unit that reads best.
func lag(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return d.Round(time.Minute).String()
	}
}

// bytesText gives a number of bytes with a unit of three digits.
func bytesText(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	x, i := float64(n), 0
	for x >= 1000 && i < len(units)-1 {
		x /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", x, units[i])
}
