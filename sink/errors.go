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

// Retryable tells whether trying again may help, for an error that says so itself by a method
// Retryable() bool (a lost connection, a deadlock, a serialization failure). Any other is permanent.
func Retryable(err error) bool {
	var r interface{ Retryable() bool }
	return errors.As(err, &r) && r.Retryable()
}
