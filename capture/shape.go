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
	leaving  *version                  // to be told when a change is dropped; nil when it was
	storage  string                    // version.Storage, until the stream describes the table
	copying  bool                      // its rows are being copied: updates travel whole
	emptied  bool                      // by a TRUNCATE since it was described

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
	exact     bool                     // the event trigger tells of schema changes
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

// keep records the tables as they were at lsn, where the stream begins.
func (s *shapes) keep(ctx context.Context, lsn change.LSN) error {
	for oid, known := range s.byOID {
		before, passed, err := s.history.at(oid, lsn)
		if err != nil {
			return err
		}
		v, err := s.record(ctx, version{From: lsn, Columns: known.columns, Table: known.table, Storage: known.storage}, before, passed)
		if err != nil {
			return err
		}
		s.announce(v)
	}
	return nil
}

// describeTimeout bounds the questions about one table; the stream waits for the answers.
const describeTimeout = 30 * time.Second

// learn takes a Relation message that stands at lsn in a transaction. A table that is as it was keeps its
// pointer. The catalogue is asked each time, since a primary key or a domain can change without the message
// doing so.
func (s *shapes) learn(ctx context.Context, xid uint32, lsn change.LSN, m *pgoutput.Relation) error {
	before, passed, err := s.history.at(m.OID, lsn)
	if err != nil {
		return err
	}
	v := version{From: lsn, Columns: m.Columns}
	if before.fits(m) && (passed || s.exact && before.Exact) {
		// Log that comes again, from before a version that is known, or as it was told.
		v.Table, err = s.catalogue.computable(ctx, before.Table)
	} else {
		err = s.describe(ctx, xid, m, before, &v)
	}
	if err != nil {
		return err
	}
	if v, err = s.record(ctx, v, before, passed); err != nil {
		return err
	}
	s.set(v.Table, m)
	s.announce(v)
	if s.binary && needsText(v.Table) {
		return errNeedText
	}
	return nil
}

// describe completes a version by what the catalogue says now.
func (s *shapes) describe(ctx context.Context, xid uint32, m *pgoutput.Relation, before, v *version) error {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	if err := s.catalogue.visible(ctx, xid); err != nil {
		return err
	}
	var files string
	var err error
	if v.Table, v.Storage, files, err = s.catalogue.look(ctx, m, before, before.fits(m) && !s.fresh[m.OID]); err != nil {
		return err
	}
	v.Exact = s.exact && v.Storage != "" // what comes after will be told
	if v.Storage == "" && before != nil {
		v.Storage = before.Storage // while the files are these, nothing was rewritten since then
	}
	s.fresh[m.OID] = true
	known := s.byOID[m.OID]
	if known != nil && known.emptied {
		known.emptied = false // there are no older rows
		return nil
	}
	return s.catalogue.markUntold(ctx, v, before, files)
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

// record notes a version unless the one before is the same, and gives the one in force.
func (s *shapes) record(ctx context.Context, v version, before *version, passed bool) (version, error) {
	switch {
	case before != nil && sameShape(before.Table, v.Table):
		if v.Storage != "" && v.Storage != before.Storage {
			before.Storage = v.Storage
			if err := s.history.store(ctx, v.Table.OID); err != nil {
				return v, err
			}
		}
		before.Exact = before.Exact || v.Exact
		v = *before
	case !passed:
		return s.history.add(ctx, v)
	}
	return v, nil
}

// announce tells of a version. That a table is outside of source.tables is told with its first change: the
// partitions of a captured table are described too, and have none.
func (s *shapes) announce(v version) {
	if s.captured(v.Table) {
		s.told(&v, false)
		return
	}
	s.byOID[v.Table.OID].leaving = &v
}

// drops tells whether changes of a table are dropped, since it is outside of source.tables.
func (s *shapes) drops(oid uint32) bool {
	if s.outside == 0 {
		return false
	}
	t := s.byOID[oid]
	if t.outside && t.leaving != nil {
		s.told(t.leaving, true)
		t.leaving = nil
	}
	return t.outside
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
