package sink

import (
	"errors"

	"github.com/sluicecdc/sluice/internal/change"
)

// ColumnError says that a destination column cannot hold what a table, in the shape that the destination
// gets, has for it.
type ColumnError struct {
	Table  *change.Table
	Column string
	Err    error
}

func (e *ColumnError) Error() string { return e.Err.Error() }
func (e *ColumnError) Unwrap() error { return e.Err }

// HeldAt says in a HeldError at which group's commit the sink is held. It gives err.
func HeldAt(err error, commit change.LSN) error {
	var held *HeldError
	if errors.As(err, &held) && held.At == 0 {
		held.At = commit
	}
	return err
}

// Retryable tells whether trying again may help, for an error that says so itself by a method
// Retryable() bool (a lost connection, a deadlock, a serialization failure). Any other is permanent.
func Retryable(err error) bool {
	var r interface{ Retryable() bool }
	return errors.As(err, &r) && r.Retryable()
}
