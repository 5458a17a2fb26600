// Package verify finds rows of destinations that are not what their sources and the configured mapping make
// of them. What enters are two PostgreSQL databases and, for each table, how its rows are mapped; what leaves are
// counts of missing, extra and different rows, and their keys. Both sides are only read.
//
// Each table is screened by ranges of its key first, by digests that both databases compute where the mapping
// can be said in SQL, else row by row. Screening knows nothing of changes in flight: what it finds is only
// suspected. A suspect is called drift when it is proven (prove.go): read at both sides, with the positions of the
// log that the reads stand at, so that no change under way can explain the difference. What is never still for
// long enough is counted as undecided. A row of which changes are set aside for a person is known to be wrong, and
// is no drift either (parked.go).
//
// Memory holds the keys and sums of one range and of the suspects at hand, whatever the size of a table.
package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/transform"
)

// Options say what is compared.
type Options struct {
	Sink, Source              string // their names
	SourceDSN, DestinationDSN string
	// API is the destination where it is one, in place of DestinationDSN.
	API API
	// Settings are set on every session: the text forms of values depend on them.
	Settings map[string]string
	// Shift gives by how much positions are more than LSNs of the source's log.
	Shift func(context.Context) (change.LSN, error)
	// RowsPerSecond bounds what is read of each side; 0 does not.
	RowsPerSecond int
	// Patience bounds the wait for a destination that does not move.
	Patience time.Duration
	// Stalled is told, again and again, that a destination which is waited for does not move. It may have it follow;
	// an error says that it will not, and ends the wait. May be nil.
	Stalled func(context.Context) error
	// Keep bounds the rows of a result.
	Keep int
	// Found is told of each row that is drift; may be nil.
	Found func(*Result, *Row)
	Log   *slog.Logger
}

// Table is how the rows of one source table come to one destination.
type Table struct {
	From *change.Table
	// Transform is what happens before Kafka, Mapping what the sink makes of it; nil leaves rows as they are.
	Transform, Mapping *transform.Mapping
	Schema, Name       string // of the destination
	// Live is an SQL condition over d, the destination's rows, that leaves out those marked as deleted; may be empty.
	Live string
	// Keeps says that rows which are gone at the source stay as they are.
	Keeps bool
	// Shared says that other sources fill the destination too: only rows with this one's constants are looked at.
	Shared bool
	// Parked gives the rows of which changes are set aside now; nil where none can be.
	Parked func(context.Context) (*Lot, error)
}

// ErrChanged says that a table has changed its shape while it was looked at.
var ErrChanged = errors.New("the table's columns changed while it was verified: verify it again")

// attempts is how often a table whose shape changes is begun again.
const attempts = 3

// Verifier compares tables over four connections. One goroutine uses it.
type Verifier struct {
	o Options
	// walk reads ranges of the source ahead of the rest; rows reads what they do not say by themselves.
	walk, rows *session
	// dest reads rows of the destination, aside asks how far it is and how it reads values.
	dest, aside *session
	standby     bool // the source is one: what it shows is what was replayed
	synchronous bool // commits of the source may wait for a standby before they can be seen
	shift       change.LSN
	pace        pace
	faulty      bool // a comparison has failed: the connections are in whatever state
}

// Open connects. The destination must be complete: while rows of before are still to come nothing can be said.
func Open(ctx context.Context, o Options) (*Verifier, error) {
	v := &Verifier{o: o, pace: pace{perSecond: o.RowsPerSecond}}
	if err := v.connect(ctx); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// connect makes the connections anew.
func (v *Verifier) connect(ctx context.Context) error {
	v.Close()
	for _, c := range []struct {
		to        **session
		dsn, what string
	}{
		{&v.walk, v.o.SourceDSN, "the source"}, {&v.rows, v.o.SourceDSN, "the source"},
		{&v.dest, v.o.DestinationDSN, "the destination"}, {&v.aside, v.o.DestinationDSN, "the destination"},
	} {
		if v.o.API != nil && (c.to == &v.dest || c.to == &v.aside) {
			continue
		}
		var err error
		if *c.to, err = dial(ctx, c.dsn, v.o.Settings); err != nil {
			return fmt.Errorf("cannot connect to %s: %w", c.what, err)
		}
	}
	v.faulty = false
	return v.ask(ctx)
}

// ask learns what positions mean.
func (v *Verifier) ask(ctx context.Context) (err error) {
	if v.shift, err = v.o.Shift(ctx); err != nil {
		return err
	}
	row, err := v.rows.one(ctx, "SELECT pg_is_in_recovery(), current_setting('synchronous_standby_names') <> ''")
	if err != nil {
		return fmt.Errorf("cannot ask the source: %w", err)
	}
	v.standby, v.synchronous = row[0] == "t", row[1] == "t"
	return v.complete(ctx, func() error { _, err := v.progress(ctx, v.aside); return err })
}

// Close ends the connections.
func (v *Verifier) Close() {
	for _, s := range []*session{v.walk, v.rows, v.dest, v.aside} {
		if s != nil {
			s.close()
		}
	}
	v.walk, v.rows, v.dest, v.aside = nil, nil, nil, nil
}

// Compare compares one table, which describe gives as it is now.
func (v *Verifier) Compare(ctx context.Context, describe func(context.Context) (*Table, error)) (*Result, error) {
	for n := 1; ; n++ {
		if v.faulty {
			if err := v.connect(ctx); err != nil {
				return nil, err
			}
		}
		t, err := describe(ctx)
		if err != nil {
			return nil, err
		}
		r, err := v.compare(ctx, t)
		v.faulty = err != nil
		if !errors.Is(err, ErrChanged) || n == attempts || r.Drift() > 0 {
			return r, err
		}
		v.o.Log.Info("a table's columns changed while it was verified: beginning it again", "table", t.From.QualifiedName())
	}
}

func (v *Verifier) compare(ctx context.Context, t *Table) (*Result, error) {
	r := &Result{Table: t.From.QualifiedName(), Destination: change.FormatName(t.Schema, t.Name), At: time.Now().UTC()}
	p, err := v.pair(ctx, t)
	if err != nil {
		return r, v.explain(ctx, p, err)
	}
	r.Absent, r.Keyless = p.absent, len(p.shape.Key) == 0
	for _, i := range p.key {
		r.SourceKey = append(r.SourceKey, p.keyed(i).Name)
	}
	for _, i := range p.sourceOrder {
		r.RangeKey = append(r.RangeKey, p.keyed(i).Name)
	}
	c := &comparison{Verifier: v, p: p, result: r}
	switch {
	case v.o.API != nil:
		err = c.askAll(ctx)
	case r.Keyless:
		err = c.keyless(ctx)
	case p.ordered:
		err = c.ranges(ctx)
	default:
		err = c.apart(ctx)
	}
	if err == nil {
		err = c.proveAll(ctx)
	}
	if err == nil {
		err = v.sameLog(ctx)
	}
	return r, v.explain(ctx, p, err)
}

// explain tells a table that has changed from other faults.
func (v *Verifier) explain(ctx context.Context, p *pair, err error) error {
	if err == nil || p == nil || ctx.Err() != nil || errors.Is(err, ErrChanged) {
		return err
	}
	if e := v.unchanged(ctx, p); errors.Is(e, ErrChanged) {
		return fmt.Errorf("%w (%w)", e, err)
	}
	return fmt.Errorf("cannot verify %s: %w", p.From.QualifiedName(), err)
}

// sameLog wants positions to mean what they meant: the log may have been replaced meanwhile.
func (v *Verifier) sameLog(ctx context.Context) error {
	now, err := v.o.Shift(ctx)
	if err == nil && now != v.shift {
		err = errors.New("the source's log was replaced by another while it was verified: verify again")
	}
	return err
}

// comparison is one table on its way.
type comparison struct {
	*Verifier
	p        *pair
	result   *Result
	suspects map[string]*suspect
	told     time.Time
}

// tellEvery is how often a table that takes long is told of.
const tellEvery = 10 * time.Second

// read notes that rows were read, and keeps to the pace.
func (c *comparison) read(ctx context.Context, rows int64) error {
	if now := time.Now(); now.Sub(c.told) >= tellEvery {
		if !c.told.IsZero() {
			c.o.Log.Info("verifying a table", "table", c.result.Table, "rows", c.result.SourceRows, "missing", c.result.Missing,
				"extra", c.result.Extra, "different", c.result.Different)
		}
		c.told = now
	}
	return c.pace.read(ctx, rows)
}
