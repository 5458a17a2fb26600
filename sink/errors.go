package sink

import "errors"

// Retryable tells whether trying again may help, for an error that says so itself by a method
// Retryable() bool (a lost connection, a deadlock, a serialization failure). Any other is permanent.
func Retryable(err error) bool {
	var r interface{ Retryable() bool }
	return errors.As(err, &r) && r.Retryable()
}
