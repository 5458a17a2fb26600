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
	columns  []pgoutput.RelationColumn // as the last message had them
	identity []bool                    // by column: part of the replica identity
	compute  *computation              // of columns that the log leaves out; nil when there are none
	outside  bool                      // of source.tables: its name is another than when it was published

	// Changes not yet added to the metrics.
	inserts, updates, deletes, truncates int
	counters                             [4]adder
}

// adder is a counter of the metrics.
type adder interface{ Add(float64) }

// shapes holds the tables of the stream by OID, as their last Relation messages described them.
type shapes struct {
	catalogue *catalogue
	metrics   *Metrics
	byOID     map[uint32]*shape
	binary    bool                     // the stream was asked for in binary
	history   *history                 // of the downstream
	captured  func(*change.Table) bool // by name
	outside   int                      // tables of byOID that are
	told      func(v *version, outside bool)
	fresh     map[uint32]bool // tables described since the connection began
}

func newShapes(c *catalogue, m *Metrics) *shapes {
	return &shapes{
		catalogue: c, metrics: m, byOID: map[uint32]*shape{},
		captured: func(*change.Table) bool { return true }, told: func(*version, bool) {},
	}
}

// begin says that a connection begins, and whether in binary.
func (s *shapes) begin(binary bool) { s.binary, s.fresh = binary, map[uint32]bool{} }

// keep records the tables of a snapshot as they were at lsn.
func (s *shapes) keep(ctx context.Context, lsn change.LSN) error {
	for oid, known := range s.byOID {
		before, passed, err := s.history.at(oid, lsn)
		if err == nil {
			_, err = s.record(ctx, version{From: lsn, Columns: known.columns, Table: known.table}, before, passed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// describeTimeout bounds the questions about one table; the stream waits for the answers.
const describeTimeout = 30 * time.Second

// learn takes a Relation message that stands at lsn. A table that is as it was keeps its pointer. The
// catalogue is asked each time, since a primary key or a domain can change without the message doing so.
func (s *shapes) learn(ctx context.Context, lsn change.LSN, m *pgoutput.Relation) error {
	before, passed, err := s.history.at(m.OID, lsn)
	if err != nil {
		return err
	}
	var t *change.Table
	if passed && before.fits(m) {
		// Log that comes again, from before a version that is known.
		t, err = s.catalogue.computable(ctx, before.Table)
	} else {
		t, err = s.describe(ctx, m, before)
	}
	if err != nil {
		return err
	}
	if t, err = s.record(ctx, version{From: lsn, Columns: m.Columns, Table: t}, before, passed); err != nil {
		return err
	}
	s.set(t, m)
	if s.binary && needsText(t) {
		return errNeedText
	}
	return nil
}

func (s *shapes) describe(ctx context.Context, m *pgoutput.Relation, before *version) (*change.Table, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	t, err := s.catalogue.describe(ctx, m, before, before.fits(m) && !s.fresh[m.OID])
	s.fresh[m.OID] = true
	return t, err
}

// doubt forgets the numbers of columns that have others now, in the first message of a connection: a
// column was dropped and added again under its name and type, and the message may be from before or
// from after it.
func doubt(t *change.Table, before *version) {
	was := before.logged()
	for i := range t.Columns {
		if n := was[i].Attnum; n != 0 && n != t.Columns[i].Attnum {
			t.Columns[i].Attnum, t.Columns[i].Missing = 0, nil
		}
	}
}

// record notes a version unless the one before is the same, and gives the table in force.
func (s *shapes) record(ctx context.Context, v version, before *version, passed bool) (*change.Table, error) {
	switch {
	case before != nil && sameShape(before.Table, v.Table):
		v = *before
	case !passed:
		var err error
		if v, err = s.history.add(ctx, v); err != nil {
			return nil, err
		}
	}
	s.told(&v, !s.captured(v.Table))
	return v.Table, nil
}

// set notes a table, and gives the one in force: the earlier when they are equal.
func (s *shapes) set(t *change.Table, m *pgoutput.Relation) *change.Table {
	old := s.byOID[m.OID]
	if old == nil {
		old = &shape{table: t, counters: s.metrics.counters(t)}
		s.byOID[m.OID] = old
	}
	if old.table.QualifiedName() != t.QualifiedName() {
		old.counters = s.metrics.counters(t)
	}
	if outside := !s.captured(t); outside != old.outside {
		old.outside = outside
		if s.outside++; !outside {
			s.outside -= 2
		}
	}
	if !reflect.DeepEqual(old.table, t) {
		old.table = t
	}
	old.columns, old.identity, old.compute = m.Columns, identityOf(m, old.table), computationOf(old.table)
	return old.table
}

// identityOf tells of each column whether old keys hold it. One that is computed from an old key counts.
func identityOf(m *pgoutput.Relation, t *change.Table) []bool {
	identity, logged := make([]bool, len(t.Columns)), 0
	for i := range t.Columns {
		if t.Columns[i].Expression != nil {
			identity[i] = t.IsKey(i)
			continue
		}
		identity[i] = m.Columns[logged].Key
		logged++
	}
	return identity
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
	if err == nil && len(r) != len(t.columns) {
		return nil, fatal(fmt.Errorf("cannot read a row of %s: it has %d columns, its table %d", t.table.QualifiedName(), len(r), len(t.columns)))
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

// needsText tells whether a table has a column of the log that cannot be read in binary.
func needsText(t *change.Table) bool {
	for i := range t.Columns {
		if c := &t.Columns[i]; c.Expression == nil && !avro.Binary(c.Type) {
			return true
		}
	}
	return false
}
