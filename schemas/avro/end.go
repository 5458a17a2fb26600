package avro

import (
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// End is a record of the transaction topic.
type End struct {
	Status      string // END, HEARTBEAT or GAP
	ID          string // transaction.id of the group's records
	EventCount  int64
	Collections []Collection
	TimeMillis  int64
	Commit      change.LSN
	Snapshot    bool
	// EndLSN is where the group's commit record ends; 0 in topics of earlier versions.
	EndLSN change.LSN
	// Copying are the tables (schema.table) of which rows are still to come; Sinks the only ones that the group
	// is meant for. Both are nil as a rule.
	Copying []string
	Sinks   []string
	// Gap is what the record marks, and Repair what is under way; nil as a rule.
	Gap    *change.Gap
	Repair *change.Repair
}

// Collection counts a group's changes of one table.
type Collection struct {
	Name       string // schema.table
	EventCount int64
	Partitions []PartitionCount
	// Held are those of EventCount that are in no partition yet: they wait in the held topic.
	Held int64
	// Swept are the registry's ids of the table's schemas when the repair has brought all its rows with this
	// group. An id of a value is never 0.
	Swept SchemaIDs
}

// SchemaIDs are the registry's ids of a table's schemas; Key is 0 for a table without key.
type SchemaIDs struct{ Key, Value int32 }

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
	dst = appendOptionalLong(appendStrings(appendStrings(dst, e.Copying), e.Sinks), int64(e.EndLSN))
	if g := e.Gap; g == nil {
		dst = append(dst, branchNull)
	} else {
		dst = appendString(appendLong(appendLong(append(dst, branchValue), int64(g.From)), int64(g.To)), g.Reason)
	}
	if e.Repair == nil {
		return append(dst, branchNull)
	}
	dst = appendLong(append(dst, branchValue), int64(e.Repair.Gap))
	if len(e.Repair.Tables) == 0 {
		return append(dst, 0)
	}
	return appendList(dst, e.Repair.Tables)
}

// appendStrings appends an optional array, null when it is empty.
func appendStrings(dst []byte, list []string) []byte {
	if len(list) == 0 {
		return append(dst, branchNull)
	}
	return appendList(append(dst, branchValue), list)
}

// appendList appends an array that is not empty.
func appendList(dst []byte, list []string) []byte {
	dst = appendLong(dst, int64(len(list)))
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
	dst = appendLong(append(dst, 0), c.Held)
	if c.Swept.Value == 0 {
		return append(dst, branchNull)
	}
	return appendLong(appendLong(append(dst, branchValue), int64(c.Swept.Key)), int64(c.Swept.Value))
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
	e.Copying, e.Sinks = r.optionalStrings(e.Copying), r.optionalStrings(e.Sinks)
	e.EndLSN = change.LSN(r.optionalLong())
	e.Gap, e.Repair = nil, nil
	if r.present() {
		e.Gap = &change.Gap{From: change.LSN(r.long()), To: change.LSN(r.long()), Reason: string(r.bytes())}
	}
	if r.present() {
		e.Repair = &change.Repair{Gap: change.LSN(r.long()), Tables: r.strings(nil)}
	}
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
	c.Held, c.Swept = r.long(), SchemaIDs{}
	if r.present() {
		c.Swept = SchemaIDs{int32(r.long()), int32(r.long())}
	}
}

// optionalStrings reads an optional array, into old.
func (r *reader) optionalStrings(old []string) []string {
	if !r.present() {
		return nil
	}
	return r.strings(old)
}

// strings reads an array, into old.
func (r *reader) strings(old []string) []string {
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
