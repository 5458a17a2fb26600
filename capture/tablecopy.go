package capture

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sluicecdc/sluice/capture/snapshot"
	"github.com/sluicecdc/sluice/internal/change"
)

// The kinds of copy.
const (
	CopyFirst = "first" // the rows that a table had before it was captured
	CopyAsked = "asked" // on demand
	// CopyRepair brings every row again after a gap, and has destinations delete the others.
	CopyRepair = "repair"
)

// The states of a copy.
const (
	CopyWaiting   = "waiting"
	CopyCopying   = "copying"
	CopyPaused    = "paused"
	CopyDone      = "done"
	CopyCancelled = "cancelled"
	CopyFailed    = "failed"
)

// copyRecord is what the journal holds of a copy.
type copyRecord struct {
	CopyStatus
	OID uint32   `json:"oid"`
	Key []string `json:"key"` // columns that the chunks are ranges of
	// Whole says that the table is copied in one transaction: it had no key to cut it by.
	Whole bool `json:"whole,omitempty"`
	// Done are the chunks that are published whole: all before Prefix, and those of Ahead.
	Prefix int   `json:"prefix"`
	Ahead  []int `json:"ahead,omitempty"`
	// Barrier is the view from when the table was published: what ran then may have changed rows without a
	// record, and must have ended before rows are read. Empty when nothing could.
	Barrier string `json:"barrier,omitempty"`
	// At is the position of a table that is published as a whole; 0 before that. Where its group has
	// ended, the copy is done, whatever a crash kept from being written: its rows would be doubled otherwise.
	// It is taken back before anything later ends. It stays when the copy is done: changes from before it that the slot
	// sends again are in the copy.
	At change.LSN `json:"at,omitempty"`
	// Sees is where the snapshot of such a table was taken: it sees what committed before. That may lie beyond At, as
	// transactions of which nothing is published give no positions.
	Sees change.LSN `json:"sees,omitempty"`
	// Gap is the position of the mark of the gap that a CopyRepair is for.
	Gap change.LSN `json:"gap,omitempty"`
	// Round is that of the wish.
	Round int64 `json:"round,omitempty"`
}

// tableCopy brings the rows of a table into the stream, a chunk at a time. It belongs to the goroutine
// that decodes.
type tableCopy struct {
	copyRecord
	limit int       // rows per second; 0 as configured
	owed  time.Time // as copies.owed, for limit

	table   snapshot.Table
	learned *change.Table // what the stream had learned of the table when table was described
	barrier *snapshot.View

	ranges   []snapshot.Range // nil until they are planned
	planning bool
	// lacking is a position up to which changes are in the stream without values that only a later version of their row
	// still has; held is since when the last chunk waits for the later changes.
	lacking change.LSN
	held    time.Time
	missed  int // times that the stream was faster than the snapshot of the whole table
	busy    map[int]bool
	retryAt time.Time // not before; after a fault

	resumed time.Time // when rowsAt rows were published, for the rate
	rowsAt  int64
	told    time.Time
}

// copyKey is the journal's key of a copy; planKey that of its ranges.
func copyKey(id string) string { return "copy/" + id }
func planKey(id string) string { return "copy/" + id + "/plan" }

// firstID names the first copy of a table.
func firstID(table string) string { return CopyFirst + "/" + table }

// repairID names the repair of a table. It has the gap in it, so that wishes for an earlier one do not count.
func repairID(table string, mark change.LSN) string {
	return CopyRepair + "/" + table + "@" + mark.String()
}

// active tells whether rows are still to come.
func (t *tableCopy) active() bool {
	return t.State == CopyWaiting || t.State == CopyCopying || t.State == CopyPaused
}

// few tells whether the copy is of a few rows that a program asks for by key: it is one chunk.
func (t *tableCopy) few() bool { return t.Round != 0 }

// partial tells whether readers lack rows of the table meanwhile.
func (t *tableCopy) partial() bool { return t.active() && t.Kind != CopyAsked }

// next gives a chunk that is not done and not under way, -1 when there is none.
func (t *tableCopy) next() int {
	for i := t.Prefix; i < len(t.ranges); i++ {
		if !t.busy[i] && !slices.Contains(t.Ahead, i) {
			return i
		}
	}
	return -1
}

// finish notes a chunk as done and tells whether it was the last one.
func (t *tableCopy) finish(chunk int) bool {
	delete(t.busy, chunk)
	t.Ahead = append(t.Ahead, chunk)
	for {
		i := slices.Index(t.Ahead, t.Prefix)
		if i < 0 {
			break
		}
		t.Ahead = slices.Delete(t.Ahead, i, i+1)
		t.Prefix++
	}
	t.Chunks, t.ChunksDone = len(t.ranges), t.Prefix+len(t.Ahead)
	return t.Prefix == len(t.ranges)
}

// mostHeld is how long the last rows of a copy wait for rows that are written again faster than they are read. Behind
// it values of a later version do.
const mostHeld = 5 * time.Second

// waits tells whether the copy cannot end at a position: a change before it lacks values, and is made good by a later one
// that travels whole only while the table is copied.
func (t *tableCopy) waits(at change.LSN) bool {
	if at >= t.lacking || t.Prefix+len(t.Ahead) < len(t.ranges)-1 {
		return false
	}
	if t.held.IsZero() {
		t.held = time.Now()
	}
	return true
}

// tired tells whether it has waited for long enough.
func (t *tableCopy) tired() bool { return !t.held.IsZero() && time.Since(t.held) > mostHeld }

// split puts two ranges in the place of one.
func (t *tableCopy) split(chunk int, parts []snapshot.Range) {
	t.ranges[chunk] = parts[0]
	t.ranges = append(t.ranges, parts[1:]...)
	t.Chunks = len(t.ranges)
}

// fits tells whether a snapshot may be read from.
func (t *tableCopy) fits(v *snapshot.View) bool { return t.barrier == nil || v.Outlives(t.barrier) }

// load takes what the journal holds of the copy.
func (t *tableCopy) load(j Journal) error {
	b, _ := j.Get(copyKey(t.ID))
	if err := json.Unmarshal(b, &t.copyRecord); err != nil {
		return t.unreadable(err)
	}
	if b, ok := j.Get(planKey(t.ID)); ok {
		if err := json.Unmarshal(b, &t.ranges); err != nil {
			return t.unreadable(err)
		}
	}
	if t.Barrier != "" {
		var err error
		if t.barrier, err = snapshot.ParseView(t.Barrier); err != nil {
			return t.unreadable(err)
		}
	}
	return nil
}

func (t *tableCopy) unreadable(err error) error {
	return fatal(fmt.Errorf("cannot read what the state topic holds of the copy %s: %w; capture does not know which rows are in Kafka and goes no further", t.ID, err))
}

// store writes how far the copy is. After a crash that loses the writing the last chunks are read again.
func (t *tableCopy) store(ctx context.Context, j Journal) error { return t.put(ctx, j.PutSoon) }

// storeNow writes it durably.
func (t *tableCopy) storeNow(ctx context.Context, j Journal) error { return t.put(ctx, j.Put) }

func (t *tableCopy) put(ctx context.Context, put func(ctx context.Context, key string, value []byte) error) error {
	b, err := json.Marshal(&t.copyRecord)
	if err != nil {
		return err
	}
	if err := put(ctx, copyKey(t.ID), b); err != nil {
		return t.unwritable(err)
	}
	return nil
}

// remove takes everything of the copy out of the journal.
func (t *tableCopy) remove(ctx context.Context, j Journal) error {
	for _, key := range []string{copyKey(t.ID), planKey(t.ID)} {
		if err := j.PutSoon(ctx, key, nil); err != nil {
			return t.unwritable(err)
		}
	}
	return nil
}

// takeBack notes durably that the table is not being published as a whole any more.
func (t *tableCopy) takeBack(ctx context.Context, j Journal) error {
	if t.At == 0 || t.State == CopyDone {
		return nil
	}
	t.At, t.Sees = 0, 0
	return t.storeNow(ctx, j)
}

// recall finds out, and notes, what became of a table that was being published as a whole when a run ended.
func (t *tableCopy) recall(ctx context.Context, j Journal) error {
	if t.At == 0 || j.Ended() < t.At || t.Ended != nil {
		return t.takeBack(ctx, j)
	}
	now := time.Now()
	t.State, t.Ended = CopyDone, &now
	return t.store(ctx, j)
}

// storePlan writes the ranges, or removes them when there are none to come.
func (t *tableCopy) storePlan(ctx context.Context, j Journal) error {
	var b []byte
	if t.active() {
		var err error
		if b, err = json.Marshal(t.ranges); err != nil {
			return err
		}
	}
	if err := j.PutSoon(ctx, planKey(t.ID), b); err != nil {
		return t.unwritable(err)
	}
	return nil
}

func (t *tableCopy) unwritable(err error) error {
	return fatal(fmt.Errorf("cannot write to the state topic how far the copy %s is: %w", t.ID, err))
}

// topicName gives the table's name as END records have it.
func (t *tableCopy) topicName() string {
	schema, name, err := change.ParseName(t.Table)
	if err != nil {
		return t.Table
	}
	return (&change.Table{Schema: schema, Name: name}).QualifiedName()
}
