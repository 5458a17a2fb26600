package sink

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

const cadenceChoices = `realtime, {every: 5m} or {at: "02:00"}`

// Cadence is the key "cadence" of a sink: realtime, {every: 5m}, or {at: "02:00"} in the local time zone of
// the sink's process. The zero value is realtime.
type Cadence struct {
	Every time.Duration // 0 when it is not this form
	At    string        // hour and minute of a day; empty when it is not this form
}

// UnmarshalYAML reads the three forms. Its errors carry their place in the file.
func (c *Cadence) UnmarshalYAML(n ast.Node) error {
	if word, ok := n.(*ast.StringNode); ok && word.Value == "realtime" {
		*c = Cadence{}
		return nil
	}
	keys, ok := pairsOf(n)
	if !ok || len(keys) != 1 {
		return badNode(n, "cadence is "+cadenceChoices)
	}
	value := keys[0].Value
	text := value.GetToken().Value
	switch key := keyText(keys[0]); key {
	case "every":
		every, err := time.ParseDuration(text)
		if err != nil || every < time.Second || every > 7*24*time.Hour {
			return badNode(value, fmt.Sprintf("every is %q: want a duration from 1s to 168h, for example 5m", text))
		}
		*c = Cadence{Every: every}
	case "at":
		if _, err := time.Parse("15:04", text); err != nil {
			return badNode(value, fmt.Sprintf(`at is %q: want an hour and a minute of the day, for example "02:00"`, text))
		}
		*c = Cadence{At: text}
	default:
		return badNode(n, fmt.Sprintf("unknown key %q: cadence is %s", key, cadenceChoices))
	}
	return nil
}

// MarshalYAML writes the form that UnmarshalYAML reads.
func (c Cadence) MarshalYAML() (any, error) {
	switch {
	case c.Every > 0:
		return yaml.MapSlice{{Key: "every", Value: shortDuration(c.Every)}}, nil
	case c.At != "":
		return yaml.MapSlice{{Key: "at", Value: c.At}}, nil
	}
	return "realtime", nil
}

// String says it in words.
func (c Cadence) String() string {
	switch {
	case c.Every > 0:
		return "every " + shortDuration(c.Every)
	case c.At != "":
		return "at " + c.At
	}
	return "realtime"
}

// Realtime tells whether there is no schedule.
func (c Cadence) Realtime() bool { return c.Every == 0 && c.At == "" }

// after gives the first time of the schedule that is later than t. Times of {every} are multiples of it, so that
// a restart does not move them; {at} is once for each day of t's time zone, also where a change of the clock
// leaves the time out or has it twice.
func (c Cadence) after(t time.Time) time.Time {
	if c.Every > 0 {
		return t.Truncate(c.Every).Add(c.Every)
	}
	for day := -1; ; day++ {
		if at := c.onDay(t, day); at.After(t) {
			return at
		}
	}
}

// by gives the last time of the schedule that is not later than t.
func (c Cadence) by(t time.Time) time.Time {
	if c.Every > 0 {
		return t.Truncate(c.Every)
	}
	for day := 1; ; day-- {
		if at := c.onDay(t, day); !at.After(t) {
			return at
		}
	}
}

// onDay gives the time of the day that is some days after t's.
func (c Cadence) onDay(t time.Time, days int) time.Time {
	clock, _ := time.Parse("15:04", c.At) // it was read
	return time.Date(t.Year(), t.Month(), t.Day()+days, clock.Hour(), clock.Minute(), 0, 0, t.Location())
}

// overdue gives how long a sink that has applied what was committed before a time is behind its schedule. A run
// may take a tenth of the time to the next one.
func (c Cadence) overdue(applied, now time.Time) time.Duration {
	if c.Realtime() {
		return max(0, now.Sub(applied))
	}
	due := c.after(applied.In(now.Location()))
	grace := c.after(due).Sub(due) / 10
	return max(0, now.Sub(due)-grace)
}
