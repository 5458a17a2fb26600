// Package http is a destination that is an API: billing, access control, a storefront. Batches of whole source
// transactions enter; calls leave, one for each row that changed, at least once. The checkpoint stands in Kafka, in a
// compacted topic of the sink, and says how far the calls came.
//
// An API has no transactions, so that its readers see the rows of a source transaction one after the other. What is
// guaranteed instead: every change's call is made and answered as done before the checkpoint passes it; the calls of
// one row are made in commit order, each when the one before was answered; a call that is made again, whether after a
// fault or after a crash, is the same call, with the same idempotency key, so that an API which knows such keys
// executes it once.
//
// For the last, a batch is collapsed by row in the same way whenever it is read again: before the calls of a unit are
// made, its end is written to Kafka (state.Until), and whoever finds it collapses up to there again. Without it, a crash
// and other bounds of the batch would send an older state under a new key, behind the newer one that the API has.
//
// A row that the API refuses is named (refusal.go) and set aside by who stands before the sink; the batch then comes again
// without it, and calls that were made are not made again (memory.go).
//
// Values that did not travel are never asked for: an update that lacks some is a patch call, or holds the sink.
package http

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
	"github.com/sluicecdc/sluice/sink"
)

// Sink is one destination. One goroutine at a time owns it; the ledger has one more, for the lease.
type Sink struct {
	o       Options
	log     *slog.Logger
	client  *http.Client
	signer  signer
	gate    gate
	ledger  *ledger
	dests   map[destID]*Destination
	targets map[*change.Table]*target

	// unit is what was read and not called yet: what a batch adds, and while a unit is made again, what earlier
	// batches have of it.
	unit *unit
	// called is of the unit that is not done, through whatever attempts.
	called *memory
}

var (
	_ sink.Sink        = (*Sink)(nil)
	_ sink.Irrevocable = (*Sink)(nil)
)

type destID struct{ schema, name string }

// New gives a destination; it does not connect.
func New(o Options) (*Sink, error) {
	o.Config = o.Config.WithDefaults()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	client, err := newClient(o.TLS, o.Concurrency)
	if err != nil {
		return nil, fmt.Errorf("sink %s: %w", o.Name, err)
	}
	s := &Sink{o: o, log: o.Log.With("sink", o.Name), client: client, dests: map[destID]*Destination{}, called: newMemory("")}
	s.gate = gate{gap: o.Rate.gap(), waited: o.Metrics.limited(o.Name)}
	s.ledger = newLedger(&s.o, rand.Text(), s.log)
	s.signer = s.newSigner()
	for i := range s.o.Destinations {
		d := &s.o.Destinations[i]
		s.dests[destID{d.Schema, d.Name}] = d
	}
	s.forget()
	return s, nil
}

func (s *Sink) newSigner() signer {
	switch {
	case s.o.Auth.OAuth2 != nil:
		return &oauth{cfg: *s.o.Auth.OAuth2, client: s.client, timeout: s.o.Timeout}
	case s.o.Auth.BearerFile != "":
		return bearer{s.o.Auth.BearerFile}
	}
	return anonymous{}
}

// forget drops what was read and not called.
func (s *Sink) forget() {
	s.unit = newUnit()
	s.targets = map[*change.Table]*target{}
}

// Resume takes the lease, where this process does not have it, and gives the checkpoint.
func (s *Sink) Resume(ctx context.Context) (sink.Checkpoint, error) {
	s.forget()
	if !s.ledger.held() {
		if err := s.ledger.claim(ctx); err != nil {
			if errors.Is(err, sink.ErrLeased) {
				return sink.Checkpoint{}, sink.ErrLeased
			}
			return sink.Checkpoint{}, fmt.Errorf("sink %s: cannot resume: %w", s.o.Name, err)
		}
	}
	st := s.ledger.current()
	return st.checkpoint(), nil
}

// Close gives the lease back.
func (s *Sink) Close() error {
	s.forget()
	s.ledger.release()
	s.client.CloseIdleConnections()
	return nil
}

// Apply makes the calls of the batch, and then its checkpoint durable. After an error some calls may have been made:
// they are made again, as the same calls, when the batch is. A row that cannot be sent, and a change that the
// configuration does not allow, are found before any call of the batch is made. Where refused rows are parked, all that
// the API refuses of the batch is in one *sink.RefusedError, and the calls of other rows were made: what of them comes
// again, when the batch comes without the refused ones, is passed over.
//
// While a unit is made again that an earlier process, or an earlier attempt, did not finish, batches that end within it
// are only kept: their checkpoint is durable with the batch that ends it.
func (s *Sink) Apply(ctx context.Context, b *sink.Batch) error {
	if !s.ledger.held() {
		return s.explain(s.ledger.lost())
	}
	for i := 0; i < len(b.Changes); {
		n := 1
		if i+1 < len(b.Changes) && halves(&b.Changes[i], &b.Changes[i+1]) {
			n = 2
		}
		if err := s.take(ctx, b, b.Changes[i:i+n]); err != nil {
			return sink.HeldAt(s.explain(err), b.Changes[i].Commit)
		}
		i += n
	}
	if s.keep(b) {
		s.unit.own()
		return nil
	}
	return s.explain(s.finish(ctx, b, !b.Open))
}

// Passed implements sink.Irrevocable.
func (s *Sink) Passed(at change.Position) bool {
	st := s.ledger.current()
	return st.done(at)
}

// halves tells whether two changes are those of one key change.
func halves(a, b *change.Change) bool {
	return a.Op == change.Delete && a.OtherKey != nil && b.Op == change.Create && b.OtherKey != nil &&
		a.Table == b.Table && b.Ordinal == a.Ordinal+1
}

// take adds a change to the unit.
func (s *Sink) take(ctx context.Context, b *sink.Batch, cs []change.Change) error {
	c := &cs[0]
	if c.Table == nil || c.Op == change.Message {
		return nil
	}
	if c.Op == change.Sweep {
		return s.sweep(c)
	}
	at := position(&cs[len(cs)-1])
	if b.Replay == "" {
		if s.Passed(at) {
			return nil
		}
		if err := s.reach(ctx, b, at); err != nil {
			return err
		}
	}
	t, err := s.target(c.Table)
	if err != nil {
		return err
	}
	if err := s.unit.add(t, cs); err != nil {
		return err
	}
	s.unit.last = at
	return nil
}

// reach ends a unit that is made again when the next change stands behind its end.
func (s *Sink) reach(ctx context.Context, b *sink.Batch, at change.Position) error {
	st := s.ledger.current()
	end := st.Until.position()
	if st.Until == nil || s.unit.empty() || s.unit.last.Compare(end) > 0 || at.Compare(end) <= 0 {
		return nil
	}
	return s.finish(ctx, b, false)
}

// keep tells whether the unit that is made again goes on behind this batch.
func (s *Sink) keep(b *sink.Batch) bool {
	st := s.ledger.current()
	if b.Replay != "" || st.Until == nil || s.unit.empty() || s.unit.last.Compare(st.Until.position()) >= 0 {
		return false
	}
	return b.Open || b.Checkpoint.Commit < st.Until.Commit
}

// finish makes the calls of the unit and writes what is done. With the whole batch its checkpoint is reached; else the
// unit ends within a batch or a group.
func (s *Sink) finish(ctx context.Context, b *sink.Batch, whole bool) error {
	u, called := s.unit, s.called
	s.unit = newUnit()
	if b.Replay != "" {
		called = newMemory(b.Replay)
	}
	stages, err := s.render(u)
	if err != nil {
		return err
	}
	crash.At("mapped")
	switch {
	case len(stages) > 0:
		if err := s.deliver(ctx, u, stages, called); err != nil {
			return err
		}
	case !whole:
		return nil
	}
	crash.At("applied")
	if err := s.ledger.write(ctx, func(st *state) { st.pass(u, b, whole) }); err != nil {
		return err
	}
	crash.At("committed")
	called.forget()
	return nil
}

// deliver announces the unit, which also proves that the sink is still ours, and makes its calls. Parked changes are not
// announced: they are collapsed by what is parked, not by the bounds of a batch.
func (s *Sink) deliver(ctx context.Context, u *unit, stages [][][]*step, called *memory) error {
	announce := func(st *state) { st.announce(u.last) }
	if called.replay != "" {
		announce = func(*state) {}
	}
	if err := s.ledger.write(ctx, announce); err != nil {
		return err
	}
	crash.At("announced")
	ctx, cancel := merge(ctx, s.ledger.alive)
	defer cancel()
	for _, chains := range stages {
		if err := s.run(ctx, chains, called); err != nil {
			return err
		}
	}
	return nil
}

// sweep passes over the end of a repair after a gap: an API cannot be asked which rows it has beside those that came.
func (s *Sink) sweep(c *change.Change) error {
	d := s.dests[destID{c.Table.Schema, c.Table.Name}]
	if d == nil || d.Deletes.Policy == sink.DeleteIgnore {
		return nil
	}
	s.o.Metrics.unswept(s.o.Name, d.From)
	s.log.Error("a table was repaired after a gap in the source's log: its rows were sent again, but rows that were deleted at the source in the gap are still at the API, which cannot be asked for them: compare both sides and delete them there",
		"table", d.From, "gap", c.Keep)
	return nil
}

// explain names the sink in an error that does not.
func (s *Sink) explain(err error) error {
	var call *CallError
	var row *rowError
	var held *sink.HeldError
	if err == nil || errors.As(err, &call) || errors.As(err, &row) || errors.As(err, &held) {
		return err
	}
	return fmt.Errorf("sink %s: %w", s.o.Name, err)
}

// Teardown removes the checkpoint. It gives sink.ErrLeased while a process serves the sink, and for a while after one
// that has died.
func (s *Sink) Teardown(ctx context.Context) error {
	if _, err := s.Resume(ctx); err != nil {
		return err
	}
	err := s.ledger.remove(ctx)
	s.ledger.abandon()
	return s.explain(err)
}
