package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
	"github.com/sluicecdc/sluice/internal/deadletter"
)

// ParkedWish is what a person wants of parked changes.
type ParkedWish struct {
	ID   string     `json:"id"`
	Verb ParkedVerb `json:"verb"`
	// Keys are those that are meant, with what is linked to them; empty for all.
	Keys []string `json:"keys,omitempty"`
	// Before is the offset of the lot that the person had seen: what has come since is not meant.
	Before int64 `json:"before"`
}

// ParkedVerb is what is to be done.
type ParkedVerb string

// The verbs.
const (
	ParkedReplay ParkedVerb = "replay" // the changes are applied in order, and their rows flow again
	ParkedDrop   ParkedVerb = "drop"   // they are forgotten, and their rows flow again
)

// replayBytes bounds what is read of the lot at a time.
const replayBytes = 4 << 20

// obey does what people want, while nothing is open at the destination.
func (p *parker) obey(ctx context.Context) error {
	for _, w := range p.deps.Steering.get().Parked {
		if p.obeyed[w.ID] {
			continue
		}
		if err := p.do(ctx, &w); err != nil {
			return fmt.Errorf("cannot %s parked changes: %w", w.Verb, err)
		}
		p.obeyed[w.ID] = true
		if err := p.deps.Obeyed(ctx, w.ID); err != nil {
			p.log.Warn("a wish about parked changes was obeyed and cannot be taken back", "error", err)
		}
		p.measure()
	}
	return nil
}

func (p *parker) do(ctx context.Context, w *ParkedWish) error {
	all, err := p.deps.Lot.Read(ctx)
	if err != nil {
		return err
	}
	// What is of a group that is half applied (Batch.Aside) waits until it is whole.
	settled := slices.DeleteFunc(all.Sorted(), func(s *deadletter.Stored) bool { return s.At.Commit > p.at.Commit })
	runs := deadletter.Chosen(settled, w.Keys, w.Before)
	switch w.Verb {
	case ParkedReplay:
		return p.replay(ctx, w.ID, runs)
	case ParkedDrop:
		return p.drop(ctx, slices.Concat(runs...))
	}
	return nil // of a later version
}

func (p *parker) drop(ctx context.Context, entries []*deadletter.Stored) error {
	if err := p.write(ctx, &deadletter.Writing{Remove: idsOf(entries)}); err != nil {
		return err
	}
	p.forget(entries)
	p.log.Warn("parked changes were dropped, as a person wanted: rows of the destination are older than the source's until they change again", "changes", len(entries))
	return nil
}

func idsOf(entries []*deadletter.Stored) []string {
	ids := make([]string, len(entries))
	for i, s := range entries {
		ids[i] = s.ID
	}
	return ids
}

// forget lets rows flow again.
func (p *parker) forget(entries []*deadletter.Stored) {
	for _, s := range entries {
		p.table(s.Table).remove(s.At)
		p.total--
	}
}

// replay applies runs, each in a transaction of its own: one that fails stays parked and is in nobody's way.
func (p *parker) replay(ctx context.Context, wish string, runs [][]*deadletter.Stored) error {
	from := &loader{lot: p.deps.Lot, list: slices.Concat(runs...), loaded: map[string]*deadletter.Entry{}}
	applied, failed := 0, 0
	for _, run := range runs {
		err := p.replayRun(ctx, wish, run, from)
		switch {
		case err == nil:
			applied += len(run)
			continue
		case Retryable(err), errors.Is(err, ErrFenced), ctx.Err() != nil:
			return err
		}
		failed += len(run)
		if err := p.tried(ctx, run, err); err != nil {
			return err
		}
	}
	p.log.Info("parked changes were applied, as a person wanted", "changes", applied, "still_parked", failed)
	return nil
}

// replayRun applies the changes of rows that belong together. The mark says that they are gone when the destination
// has committed them.
func (p *parker) replayRun(ctx context.Context, wish string, run []*deadletter.Stored, from *loader) error {
	if err := p.write(ctx, &deadletter.Writing{Mark: idsOf(run)}); err != nil {
		return err
	}
	for rest := run; len(rest) > 0; {
		piece := fitting(rest)
		rest = rest[len(piece):]
		changes, err := p.changes(ctx, piece, from)
		if err != nil {
			return err
		}
		b := &Batch{Changes: changes, Open: len(rest) > 0, Replay: wish}
		if !b.Open {
			b.Checkpoint = p.stamp(p.at)
			b.Checkpoint.Parked -= int64(len(run))
		}
		if err := p.Sink.Apply(ctx, b); err != nil {
			return err
		}
	}
	crash.At("replayed")
	p.forget(run)
	for _, s := range run {
		p.deps.Metrics.records.WithLabelValues(p.cfg.Name, s.Table, "applied").Inc()
	}
	return p.write(ctx, &deadletter.Writing{Remove: idsOf(run), Unmark: true})
}

// fitting gives the first entries, as many as are read at a time; halves of a key change stay together.
func fitting(run []*deadletter.Stored) []*deadletter.Stored {
	n, size := 0, 0
	for n < len(run) && (n == 0 || size+run[n].Size <= replayBytes || run[n].Linked != "" && run[n].At.Ordinal == run[n-1].At.Ordinal+1) {
		size += run[n].Size
		n++
	}
	return run[:n]
}

// changes gives entries in the versions of their tables that the destination has now.
func (p *parker) changes(ctx context.Context, entries []*deadletter.Stored, from *loader) ([]change.Change, error) {
	out := make([]change.Change, len(entries))
	for i, s := range entries {
		e, err := from.load(ctx, s)
		if err != nil {
			return nil, err
		}
		if out[i], err = deadletter.In(&e.Change, p.table(s.Table).current); err != nil {
			return nil, &RefusedError{[]Refusal{{At: s.At, Reason: err.Error(), Err: err,
				Fix: "drop it, and have the row copied from the source: sluice dlq drop, then sluice snapshot TABLE --where"}}}
		}
	}
	return out, nil
}

// tried notes why a run stays parked, at the change that is at fault, where that is known.
func (p *parker) tried(ctx context.Context, run []*deadletter.Stored, why error) error {
	id := run[0].ID
	a := &deadletter.Attempt{Time: timeNow(), Error: why.Error()}
	var refused *RefusedError
	if errors.As(why, &refused) {
		r := &refused.Refusals[0]
		a.Error, a.Class, a.Code = r.Reason, string(r.Class), r.Code
		for _, s := range run {
			if s.At == r.At {
				id = s.ID
			}
		}
	}
	p.log.Warn("parked changes stay parked: they cannot be applied yet", "table", run[0].Table, "key", run[0].Key, "error", a.Error)
	if err := p.write(ctx, &deadletter.Writing{Unmark: true, Tried: map[string]*deadletter.Attempt{id: a}}); err != nil {
		return err
	}
	return p.goBack(ctx)
}

// loader reads entries ahead, in the order in which they are asked for.
type loader struct {
	lot    Lot
	list   []*deadletter.Stored // what is still to be asked for begins with it
	loaded map[string]*deadletter.Entry
}

func (l *loader) load(ctx context.Context, s *deadletter.Stored) (*deadletter.Entry, error) {
	if e := l.loaded[s.ID]; e != nil {
		return e, nil
	}
	at := slices.Index(l.list, s)
	l.list = l.list[at:]
	var offsets []int64
	for _, next := range fitting(l.list) {
		offsets = append(offsets, next.Offset)
	}
	slices.Sort(offsets)
	entries, err := l.lot.Load(ctx, offsets)
	if err != nil {
		return nil, err
	}
	clear(l.loaded)
	for i := range entries {
		l.loaded[entries[i].ID()] = &entries[i]
	}
	if l.loaded[s.ID] == nil {
		return nil, fmt.Errorf("parked change %s is not in the topic any more", s.ID)
	}
	return l.loaded[s.ID], nil
}
