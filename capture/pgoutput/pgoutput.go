// Package pgoutput turns the bytes of PostgreSQL's logical replication protocol, versions 1 to 4,
// into messages (manual: "Logical Replication Message Formats"). What enters is the payload of one
// XLogData; what leaves are views of it. It does no I/O, allocates nothing for rows and checks every
// length against the bytes that are there.
//
// A message is decoded in two steps: its first byte is its Kind, the rest goes to Decode of the type
// of that name. Between StreamStart and StreamStop (protocol 2 and later, streaming on) most messages
// carry the id of their transaction in front: their Decode is told so by streamed.
package pgoutput

import (
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// Kind is the first byte of a message.
type Kind byte

// The messages of protocol 1, then those of 2 and later.
const (
	KindBegin    Kind = 'B'
	KindCommit   Kind = 'C'
	KindOrigin   Kind = 'O'
	KindRelation Kind = 'R'
	KindType     Kind = 'Y'
	KindInsert   Kind = 'I'
	KindUpdate   Kind = 'U'
	KindDelete   Kind = 'D'
	KindTruncate Kind = 'T'
	KindMessage  Kind = 'M'

	KindStreamStart  Kind = 'S'
	KindStreamStop   Kind = 'E'
	KindStreamCommit Kind = 'c'
	KindStreamAbort  Kind = 'A'
)

// String gives the kind's letter.
func (k Kind) String() string { return fmt.Sprintf("%q", rune(k)) }

// epoch is 2000-01-01 00:00 UTC, where PostgreSQL's times begin, in microseconds since 1970.
const epoch change.Micros = 946_684_800_000_000

// Error says that bytes are not what the protocol says. The stream cannot be read past them.
type Error struct {
	Message string // which message
	Problem string
}

// Error names the message and what is wrong in it.
func (e *Error) Error() string {
	return "malformed replication message " + e.Message + ": " + e.Problem
}
