package avro

import (
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// End is a record of the transaction topic.
type End struct {
	Status      string // END or HEARTBEAT
	ID          string // transaction.id of the group's records
	EventCount  int64
	Collections []Collection
	TimeMillis  int64
	Commit      change.LSN
	Snapshot    bool
	// Copying are the tables (schema.table) of which rows are still to come; Sinks the only ones that the group
	// is meant for. Both are nil as a rule.
	Copying []string
	Sinks   []string
}

// Collection counts a group's changes of one table.
type Collection struct {
	Name       string // schema.table
	EventCount int64
	Partitions []PartitionCount
	// Held are those of EventCount that are in no partition yet: they wait in the held topic.
	Held int64
}

// PartitionCount counts a group's records in one partition, tombstones left out.
type PartitionCount struct {
	Partition  int32
	EventCount int64
}

// AppendEnd appends e without framing, as schemas.ForTransactions describes it.
func AppendEnd(dst []byte, e *End) []byte {
	dst = appendString(appendString(dst, e.Status), e.ID)
	dst = appendOptionalLong(dst, e.EventCount)
	dst = append(dst, branchValue)
	if n := len(e.Collections); n > 0 {
		dst = appendLong(dst, int64(n))
		for i := range e.Collections {
			dst = appendCollection(dst, &e.Collections[i])
		}
	}
	dst = appendLong(append(dst, 0), e.TimeMillis)
	dst = appendOptionalLong(dst, int64(e.Commit))
	dst = append(dst, b2i(e.Snapshot))
	return appendStrings(appendStrings(dst, e.Copying), e.Sinks)
}

// appendStrings appends an optional array, null when it is empty.
func appendStrings(dst []byte, list []string) []byte {
	if len(list) == 0 {
		return append(dst, branchNull)
	}
	dst = appendLong(append(dst, branchValue), int64(len(list)))
	for _, s := range list {
		dst = appendString(dst, s)
	}
	return append(dst, 0)
}

// AppendEndKey appends the key of the END of a group, by GroupID, without framing.
func AppendEndKey(dst []byte, id string) []byte { return appendString(dst, id) }

func appendCollection(dst []byte, c *Collection) []byte {
	dst = appendLong(appendString(dst, c.Name), c.EventCount)
	if n := len(c.Partitions); n > 0 {
		dst = appendLong(dst, int64(n))
		for _, p := range c.Partitions {
			dst = appendLong(appendLong(dst, int64(p.Partition)), p.EventCount)
		}
	}
	return appendLong(append(dst, 0), c.Held)
}

// DecodeEnd reads what AppendEnd wrote into e, reusing its slices.
func DecodeEnd(b []byte, e *End) error {
	r := reader{b: b}
	e.Status, e.ID = keep(e.Status, r.bytes()), keep(e.ID, r.bytes())
	e.EventCount = r.optionalLong()
	e.Collections = e.Collections[:0]
	if r.present() {
		r.collections(e)
	}
	e.TimeMillis = r.long()
	e.Commit = change.LSN(r.optionalLong())
	e.Snapshot = r.bool()
	e.Copying, e.Sinks = r.strings(e.Copying), r.strings(e.Sinks)
	if err := r.end(); err != nil {
		return fmt.Errorf("cannot decode a record of the transaction topic: %w", err)
	}
	return nil
}

func (r *reader) collections(e *End) {
	for n := r.count(); n > 0; n = r.count() {
		for ; n > 0 && r.err == nil; n-- {
			e.Collections = grow(e.Collections)
			r.collection(&e.Collections[len(e.Collections)-1])
		}
	}
}

func (r *reader) collection(c *Collection) {
	c.Name, c.EventCount, c.Partitions = keep(c.Name, r.bytes()), r.long(), c.Partitions[:0]
	for n := r.count(); n > 0; n = r.count() {
		for ; n > 0 && r.err == nil; n-- {
			c.Partitions = append(c.Partitions, PartitionCount{int32(r.long()), r.long()})
		}
	}
	c.Held = r.long()
}

// strings reads an optional array, into old.
func (r *reader) strings(old []string) []string {
	if !r.present() {
		return nil
	}
	out := old[:0]
	for n := r.count(); n > 0; n = r.count() {
		for ; n > 0 && r.err == nil; n-- {
			var was string
			if len(out) < cap(out) {
				was = out[:len(out)+1][len(out)]
			}
			out = append(out, keep(was, r.bytes()))
		}
	}
	return out
}

// present reads the branch of an optional field.
func (r *reader) present() bool {
	switch r.long() {
	case 0:
		return false
	case 1:
		return true
	}
	r.fail(errBranch)
	return false
}

func (r *reader) optionalLong() int64 {
	if r.present() {
		return r.long()
	}
	return 0
}

// keep gives b as a string, old itself when it is equal: ids and names repeat.
func keep(old string, b []byte) string {
	if string(b) == old {
		return old
	}
	return string(b)
}

// grow lengthens a slice by one, keeping what an element that was used before holds.
func grow(s []Collection) []Collection {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	return append(s, Collection{})
}
