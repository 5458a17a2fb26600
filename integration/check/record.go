// Package check holds the validators of end-to-end tests: what was found at both ends of the path goes
// in, what contradicts the guarantees comes out. It shares no decoding with the product: topics are
// read by another Kafka client and another Avro library, tables by SQL.
package check

import (
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// Record is one record of a table's topic, or of the topic of logical messages.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte // as stored; nil is Kafka's null
	// Tombstone is set when key and no value are there; the fields below are then empty.
	Tombstone bool

	Op         byte   // a letter of the envelope
	Collection string // schema.table, as the transaction topic calls it
	Table      uint32 // the table's number at the source, 0 when the schema does not say
	Position   change.Position
	Snapshot   bool
	Group      string // transaction.id
	// TotalOrder and CollectionOrder are the envelope's, from 1 within the group.
	TotalOrder, CollectionOrder int64
	// Rises is the row's column of that name, which every write at the source raises; 0 in tables without one.
	Rises int64
}

// String says where the record is and what it is.
func (r *Record) String() string {
	what := fmt.Sprintf("op %c at %s of group %s", r.Op, r.Position, r.Group)
	if r.Tombstone {
		what = "a tombstone"
	}
	return fmt.Sprintf("%s[%d]@%d (%s)", r.Topic, r.Partition, r.Offset, what)
}

// truncate tells a TRUNCATE, which stands in every partition.
func (r *Record) truncate() bool { return r.Op == byte(change.Truncate) }

// End is one record of the transaction topic.
type End struct {
	Offset      int64
	Status, ID  string
	EventCount  int64
	Commit      change.LSN
	Snapshot    bool
	Copying     []string // tables of which rows are still to come
	Reason      string   // of a gap
	Collections []Collection
}

// Collection is what an End says of one table.
type Collection struct {
	Name       string
	EventCount int64
	Partitions map[int32]int64 // records by partition, tombstones left out
	Held       int64           // of EventCount, what waited when the END was written
}

// Release is what became of a group's changes of one table that waited.
type Release struct {
	Group, Table string
	EventCount   int64           `json:"event_count"`
	Partitions   map[int32]int64 // as an END has them
}

// Log is all that a source's topics hold.
type Log struct {
	// Records are grouped by topic and partition, in offset order.
	Records []Record
	Ends    []End
	// Releases are by group and table; one that a crash repeats is there once.
	Releases map[[2]string]Release
}

// Violation is one contradiction.
type Violation struct {
	Rule string // a word
	Text string // where, what was found, what was expected
}

func (v Violation) String() string { return v.Rule + ": " + v.Text }

func violation(rule, format string, args ...any) Violation {
	return Violation{Rule: rule, Text: fmt.Sprintf(format, args...)}
}

// Check runs every validator of topics.
func (l *Log) Check() []Violation {
	var found []Violation
	for _, rule := range []func(*Log) []Violation{Order, Once, NeverBack, Keys, Chains, Counts, Complete} {
		found = append(found, rule(l)...)
	}
	return found
}
