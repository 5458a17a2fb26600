package sink

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// Waiting is a change that holds a sink, as people and /api/status see it.
type Waiting struct {
	Table string `json:"table"` // the source's, as HeldError has it
	Kind  Hold   `json:"kind"`
	// At and Time are the commit of the group that holds the sink. Nothing of it is applied.
	At     change.LSN `json:"commit_lsn"`
	Time   time.Time  `json:"commit_time,omitzero"`
	Since  time.Time  `json:"since"`
	Reason string     `json:"reason"`
	// The rest is known of what the breaker and a refused TRUNCATE hold.
	To      string   `json:"to,omitempty"`      // the destination table
	Reached string   `json:"reached,omitempty"` // another one, of which Rows are: they would go, or be changed, with deletions from To
	Rows    int64    `json:"rows,omitempty"`    // that the window would remove or rewrite with the whole group
	More    bool     `json:"more,omitempty"`    // Rows were not counted to their end
	Of      int64    `json:"of_rows,omitempty"` // about how many rows the table has
	Share   float64  `json:"share,omitempty"`   // Rows of Of
	Window  string   `json:"window,omitempty"`  // that Rows were counted over
	Limits  string   `json:"limits,omitempty"`  // as the configuration writes them
	Samples []string `json:"sample_keys,omitempty"`
}

// Decidable tells whether approve and skip settle it.
func (h Hold) Decidable() bool { return h == HoldDeletes || h == HoldUpdates || h == HoldTruncate }

// what says what would happen to the rows.
func (h Hold) what() string {
	if h == HoldUpdates {
		return "rewritten"
	}
	return "removed"
}

// Counted says in a phrase how much waits.
func (w *Waiting) Counted() string {
	more := ""
	if w.More {
		more = "more than "
	}
	text := fmt.Sprintf("%s%d rows of %s would be %s", more, w.Rows, w.To, w.Kind.what())
	if w.Reached != "" {
		text = fmt.Sprintf("%d rows of %s, which refer to %s, would be removed or changed with what is deleted there", w.Rows, w.Reached, w.To)
	}
	if w.Of > 0 {
		text += fmt.Sprintf(", %s of about %d", percent(float64(int(w.Share*1000))/1000), w.Of)
	}
	if w.Window != "" {
		text += " within " + w.Window
	}
	return text
}

// Ask names the commands that settle it.
func (w *Waiting) Ask(sink string) string {
	return fmt.Sprintf("sluice approve %s applies it once, sluice skip %s leaves it out and goes on", sink, sink)
}

// decision gives what was decided about changes of a kind to a destination table in a group, nil when nothing was.
func (w *Wishes) decision(at change.LSN, to string, kind Hold) *Decision {
	for i := range w.Decisions {
		if d := &w.Decisions[i]; d.At == at && d.To == to && d.Kind == kind {
			return d
		}
	}
	return nil
}

// maxSamples and maxSample bound what is shown of the rows.
const (
	maxSamples = 10
	maxSample  = 100
)

// sample adds the key of a change's row. A row without key is not shown: that would be all of its values.
func (w *Waiting) sample(c *change.Change) {
	row := c.Before
	if c.Op == change.Update {
		row = c.After
	}
	if len(w.Samples) == maxSamples || len(c.Table.Key) == 0 || len(row) != len(c.Table.Columns) {
		return
	}
	var parts []string
	for _, k := range c.Table.Key {
		parts = append(parts, c.Table.Columns[k].Name+"="+string(row[k].Data))
	}
	w.addSample(strings.Join(parts, " "))
}

func (w *Waiting) addSample(key string) {
	if len(w.Samples) == maxSamples {
		return
	}
	if len(key) > maxSample {
		key = strings.ToValidUTF8(key[:maxSample], "") + "..."
	}
	w.Samples = append(w.Samples, key)
}
