package sink

import (
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// Refusal is a change that a destination does not take, for a reason that lies in its row: without it the rest
// of its batch can be applied. A missing table or privilege, a lost connection or a full disk is none.
type Refusal struct {
	At    change.Position
	Class Class
	// Code is the destination's own, such as an SQLSTATE; empty where it has none.
	Code string
	// Reason says in a phrase where and why, Fix what to do.
	Reason, Fix string
	// Err is what a sink that stops at the change says.
	Err error
}

// Class is the kind of a Refusal.
type Class string

// The kinds.
const (
	ClassData       Class = "data"       // a value that a column cannot hold
	ClassConstraint Class = "constraint" // NOT NULL, CHECK, a unique or a foreign key
	ClassRule       Class = "rule"       // a trigger raised an exception
	ClassMissing    Class = "missing"    // a row that is to be changed is not there
)

// RefusedError says that a destination refuses rows. Nothing of the batch was applied, but at an Irrevocable destination. An
// open batch may be taken though some of its rows are refused: the error then comes with a later one, with the one that
// closes it at the latest.
type RefusedError struct {
	Refusals []Refusal // at least one, in the order in which they were met
}

func (e *RefusedError) Error() string {
	text := e.Refusals[0].Err.Error()
	if n := len(e.Refusals) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more changes are refused)", n)
	}
	return text
}

// Unwrap gives the first.
func (e *RefusedError) Unwrap() error { return e.Refusals[0].Err }
