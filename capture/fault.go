package capture

import (
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/retry"
)

// errClosedByServer is the end of the connection from the other side.
var errClosedByServer = errors.New("the server closed the connection")

// fatalError is one that trying again does not help.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

func fatal(err error) error {
	if err == nil {
		return nil
	}
	return &fatalError{err}
}

// SQLSTATEs that are asked for by name (manual, appendix A).
const (
	stateInUse           = "55006" // the slot is active
	stateNoPrerequisite  = "55000" // the slot is lost, or the server is not set up
	stateDuplicate       = "42710"
	stateUndefinedObject = "42704"
	stateUndefinedTable  = "42P01"
	stateNoPrivilege     = "42501"
	stateInvalidTable    = "42P16"
	stateWrongObject     = "42809"
	stateLockTimeout     = "55P03"
	stateInternal        = "XX000"
)

func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// temporary tells whether trying again may help: connections that fail, servers that are starting,
// stopping or full, and PostgreSQL's own internal errors (XX000): that of a slot which cannot decode passes when
// the slot goes on from a later place, and is counted otherwise (noteUndecodable).
// What the server refuses for another reason it will refuse again.
func temporary(err error) bool {
	var f *fatalError
	if errors.As(err, &f) {
		return false
	}
	switch state := sqlState(err); {
	case state == "":
		return true
	case state == stateInUse, state == stateInternal, strings.HasPrefix(state, "57P"), strings.HasPrefix(state, "08"),
		strings.HasPrefix(state, "53"), strings.HasPrefix(state, "40"):
		return true
	}
	return false
}

// lastWait is the longest pause between two tries to reach the source.
const lastWait = 3 * time.Second

// waits are the pauses between them.
func waits() retry.Backoff { return retry.Backoff{First: 200 * time.Millisecond, Most: lastWait} }
