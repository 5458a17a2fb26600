// Package sink holds the contract of a destination and the runner that feeds it: whole groups in
// commit order come from sink/consume, leave as batches to one Sink, and the destination's own
// checkpoint says how far they came.
package sink

import (
	"context"
	"errors"

	"github.com/sluicecdc/sluice/internal/change"
)

// Checkpoint is what a destination stores, in the same transaction as the data, to say what it
// holds.
type Checkpoint struct {
	// Commit is the commit LSN of the last group applied: everything committed at the source up to
	// it is in the destination. 0 before the first group.
	Commit change.LSN
	// Time is that group's commit time at the source.
	Time change.Micros
	// Complete is false while rows of its tables from before are still to come.
	Complete bool
	// Parked counts the changes up to here that are set aside and not in the destination.
	Parked int64
	// Offsets holds, for each topic and partition, the offset of the next record to read.
	Offsets map[string]map[int32]int64
}

// Batch is a run of whole groups in commit order, or a piece of one group too large for memory.
type Batch struct {
	// Changes are in commit order, and in ordinal order within a group; a consumer keeps the halves of a
	// key change together. They are views that stay valid until Apply returns.
	Changes []change.Change
	// Groups counts the groups that end in this batch.
	Groups int
	// Commits holds the commit times at the source of the transactions with changes that end in this
	// batch: for the measurement of latency.
	Commits []change.Micros
	// Open says that the last group goes on in the next batch: its changes must not become visible
	// yet, and there is no Checkpoint.
	Open bool
	// Aside is how far the topic of parked changes is written by now.
	Aside Aside
	// Replay names the wish by which changes that were parked are applied; empty for others. The checkpoint has passed
	// them, and stays where it is.
	Replay string
	// Checkpoint is the state after this batch; meaningless while Open.
	Checkpoint Checkpoint
}

// Aside is an offset in the topic of parked changes. What stands before it is not in a batch. A destination that can move
// on within a group stores it among the offsets of its checkpoint with how far it came, so that whoever reads the
// group again knows what was left out. The checkpoint of a batch holds it already. The zero value is of no topic.
type Aside struct {
	Topic  string
	Offset int64
}

// ErrLeased says that another process serves this sink now: stand by and ask again.
var ErrLeased = errors.New("another process serves this sink")

// ErrFenced says that another process has taken this sink over since Resume: nothing of the batch
// was committed, and nothing later can be. Stand by, or stop.
var ErrFenced = errors.New("another process has taken this sink over")

// HeldError says that a change waits for a person, because the configuration does not allow it. The
// destination and its checkpoint are as they were before the batch.
type HeldError struct {
	Table  string // the source's, schema.table
	Why    Hold
	At     change.LSN // the group's commit; 0 when it is not known
	Reason string     // what was refused, and how to go on
	// Waiting shows a change that a person may let through or leave out; nil where that would settle nothing.
	Waiting *Waiting
}

// same tells whether a sink is held as it was before.
func (e *HeldError) same(other *HeldError) bool {
	return other != nil && e.Table == other.Table && e.Why == other.Why && e.At == other.At && e.Reason == other.Reason
}

// Hold is the kind of a HeldError, for metrics.
type Hold string

// The kinds.
const (
	HoldTruncate Hold = "truncate" // a TRUNCATE that the configuration refuses
	HoldSchema   Hold = "schema"   // a schema change that evolve does not follow
	HoldValues   Hold = "values"   // values that did not travel and that the destination does not have
	HoldCapture  Hold = "capture"  // changes that capture holds itself
	HoldDeletes  Hold = "deletes"  // removed rows beyond the limits of the breaker
	HoldUpdates  Hold = "updates"  // rewritten rows beyond the limits of the breaker
	HoldLock     Hold = "lock"     // a table that cannot be locked as configured
	HoldParked   Hold = "parked"   // parked changes of a table that something must not pass
)

func (e *HeldError) Error() string { return "held at table " + e.Table + ": " + e.Reason }

// Sink is one destination. Calls come from one goroutine.
type Sink interface {
	// Resume takes the destination's lease and gives the stored checkpoint. It gives ErrLeased while
	// another process holds the lease. It may be called again after an error of Apply: it then drops
	// whatever was open.
	Resume(ctx context.Context) (Checkpoint, error)
	// Apply makes the batch and its checkpoint durable together, or neither. Applying a batch twice
	// equals applying it once. An open batch is kept in the destination's open transaction and
	// becomes visible with the batch that closes it. A *RefusedError says which changes are at fault.
	Apply(ctx context.Context, b *Batch) error
	// Close gives the lease back. What is open is dropped. Resume may follow.
	Close() error
}
