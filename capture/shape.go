package capture

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// errNeedText says that a table has a type whose binary form is not read: the stream must be asked
// for again in text.
var errNeedText = errors.New("a captured table has a type that is read as text")

// shape is what the decoder knows of a table: its version, and which columns an old key holds.
type shape struct {
	table    *change.Table
	identity []bool // by column: part of the replica identity

	// Changes not yet added to the metrics.
	inserts, updates, deletes, truncates int
	counters                             [4]adder
}

// adder is a counter of the metrics.
type adder interface{ Add(float64) }

// shapes holds the tables of the stream by OID, as their last Relation messages described them.
type shapes struct {
	catalogue describer
	metrics   *Metrics
	byOID     map[uint32]*shape
	binary    bool // the stream was asked for in binary
}

// describer turns a relation into a table version; it asks the source's catalogue.
type describer interface {
	describe(ctx context.Context, m *pgoutput.Relation) (*change.Table, error)
}

func newShapes(c describer, m *Metrics) *shapes {
	return &shapes{catalogue: c, metrics: m, byOID: map[uint32]*shape{}}
}

// describeTimeout bounds the questions about one table; the stream waits for the answers.
const describeTimeout = 30 * time.Second

// learn takes a Relation message. A table that is as it was keeps its pointer. The catalogue is asked
// each time, since a primary key or a domain can change without the message doing so.
func (s *shapes) learn(ctx context.Context, m *pgoutput.Relation) error {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	t, err := s.catalogue.describe(ctx, m)
	if err != nil {
		return err
	}
	s.set(t, m)
	if s.binary && needsText(t) {
		return errNeedText
	}
	return nil
}

// set notes a table, and gives the one in force: the earlier when they are equal.
func (s *shapes) set(t *change.Table, m *pgoutput.Relation) *change.Table {
	identity := make([]bool, len(m.Columns))
	for i, c := range m.Columns {
		identity[i] = c.Key
	}
	old := s.byOID[m.OID]
	if old == nil {
		old = &shape{table: t, counters: s.metrics.counters(t)}
		s.byOID[m.OID] = old
	}
	if old.table.QualifiedName() != t.QualifiedName() {
		old.counters = s.metrics.counters(t)
	}
	if !reflect.DeepEqual(old.table, t) {
		old.table = t
	}
	old.identity = identity
	return old.table
}

// of gives a table of the stream.
func (s *shapes) of(oid uint32) (*shape, error) {
	if t := s.byOID[oid]; t != nil {
		return t, nil
	}
	return nil, fatal(fmt.Errorf("cannot read the replication stream: it uses table %d without having described it", oid))
}

// row gives the table of a row and checks that the row fits it.
func (s *shapes) row(oid uint32, r change.Row) (*shape, error) {
	t, err := s.of(oid)
	if err == nil && len(r) != len(t.table.Columns) {
		return nil, fatal(fmt.Errorf("cannot read a row of %s: it has %d columns, its table %d", t.table.QualifiedName(), len(r), len(t.table.Columns)))
	}
	return t, err
}

// flushCounts adds what was counted to the metrics: once a slab, not once a row.
func (s *shapes) flushCounts() {
	for _, t := range s.byOID {
		for i, n := range []*int{&t.inserts, &t.updates, &t.deletes, &t.truncates} {
			if *n > 0 {
				t.counters[i].Add(float64(*n))
				*n = 0
			}
		}
	}
}

// needsText tells whether a table has a column that cannot be read in binary.
func needsText(t *change.Table) bool {
	for i := range t.Columns {
		if !avro.Binary(t.Columns[i].Type) {
			return true
		}
	}
	return false
}
