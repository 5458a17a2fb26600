package http

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// CallError says which call did not do what it should.
type CallError struct {
	Sink  string
	Doing string // "upsert", "delete", ...
	Table string // as the sink has it, schema.table
	Key   string // id=7; empty when all rows are meant
	Call  string // PUT /customers/7
	// Status is the answer's; 0 when there was none.
	Status int
	Err    error
	Fix    string // what to do now; empty when waiting is enough
	retry  bool
	class  sink.Class // of a refusal that lies in the row; empty for others
}

// Error gives one sentence: where, what, and what to do.
func (e *CallError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sink %s: cannot %s ", e.Sink, e.Doing)
	if e.Key != "" {
		fmt.Fprintf(&b, "row %s of ", e.Key)
	}
	fmt.Fprintf(&b, "%s: %s: %v", e.Table, e.Call, e.Err)
	if e.Fix != "" {
		b.WriteString(" -- " + e.Fix)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *CallError) Unwrap() error { return e.Err }

// Retryable tells whether the same call may succeed later without anyone changing anything.
func (e *CallError) Retryable() bool { return e.retry }

// rowError says that a row cannot be sent; nothing of its batch was.
type rowError struct {
	sink, table, key string
	err              error
	fix              string
}

func (e *rowError) Error() string {
	return fmt.Sprintf("sink %s: cannot send row %s of %s: %v -- %s; nothing of the batch was sent, start the sink again afterwards", e.sink, e.key, e.table, e.err, e.fix)
}

func (e *rowError) Unwrap() error { return e.err }

// waitError says that a call may go later.
type waitError struct{ error }

func (waitError) Retryable() bool { return true }
func (e waitError) Unwrap() error { return e.error }

var errNotResumed = errors.New("it was not resumed")

// shown names a row for people by its key.
func (c *columns) shown(row change.Row) string {
	var parts []string
	for _, k := range c.key {
		text := "NULL"
		if v := row[k]; v.Format == change.Text {
			text = short(string(v.Data))
		}
		parts = append(parts, c.all[k].Name+"="+text)
	}
	return strings.Join(parts, ", ")
}

func short(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}

// lacking holds the sink at a row of which values did not travel.
func (t *target) lacking(row change.Row, why string) error {
	lacks := t.cols.list(func(i int) bool { return i < len(row) && !known(row[i]) })
	return &sink.HeldError{Table: t.from, Why: sink.HoldValues, Reason: fmt.Sprintf(
		"row %s: the update left TOASTed values of %s unchanged, so that they did not travel, and %s. Run at the source: ALTER TABLE %s REPLICA IDENTITY FULL, then let this sink begin with a new copy of the table",
		t.cols.shown(row), lacks, why, t.fromSQL)}
}
