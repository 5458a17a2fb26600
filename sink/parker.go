package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/deadletter"
)

// Lot keeps what is parked (deadletter.Topic). One goroutine uses it. Its errors tell whether they are Retryable.
type Lot interface {
	// Name tells the lots of a Kafka apart.
	Name() string
	// Read gives all that is kept, without rows.
	Read(ctx context.Context) (*deadletter.Contents, error)
	// Load gives entries whole, by their offsets, which rise.
	Load(ctx context.Context, offsets []int64) ([]deadletter.Entry, error)
	// Write makes records durable and gives the offset behind them. It fails where another process has written
	// since Read.
	Write(ctx context.Context, w *deadletter.Writing) (end int64, err error)
	// Close gives it up. Read and Write may follow.
	Close() error
}

// ParkingDeps are the things that parking works with.
type ParkingDeps struct {
	Lot      Lot
	Steering *Steering
	// Obeyed takes a wish about parked changes back, which was obeyed.
	Obeyed  func(ctx context.Context, id string) error
	Log     *slog.Logger
	Metrics *Metrics
}

// parker stands before everything else and sets aside what the destination refuses, and in order what follows it:
// later changes of a row never pass earlier ones. Changes are kept as the source gave them, before any mapping.
//
// What it writes to the lot counts when the destination's checkpoint has passed it: the checkpoint holds the lot's
// offset beside those of the topics, so that it commits with the data. What an attempt wrote that did not come to
// its commit is removed when the sink resumes, and found again.
type parker struct {
	Sink
	cfg    *Config
	limits *Parking
	deps   ParkingDeps
	log    *slog.Logger
	// forward is the destination where it can take nothing back; nil for others.
	forward Irrevocable

	tables   map[string]*parkedTable // by schema.table
	versions map[*change.Table]*parkedTable
	total    int64
	// refused are what the destination refuses of what is not committed yet.
	refused map[change.Position]*Refusal
	passed  int64 // the offset of the lot that the next checkpoint has passed
	at      Checkpoint
	open    bool // pieces of a batch are at the destination
	again   bool // the batch is to be read again, and refused stands

	// Of the batch under way.
	out     []change.Change
	writing deadletter.Writing
	gone    []string // IDs of what a TRUNCATE takes
	told    int      // lines in the log
	key     []byte
	linked  []byte

	// The changes of a minute, and how many of them were parked.
	seen, parked window
	passing      int64 // changes of the batch so far

	obeyed map[string]bool // wishes, by ID
}

// Parked puts parking before a destination. With parking: off nothing is added to what is parked but what follows it.
func Parked(dest Sink, c *Config, deps ParkingDeps) Sink {
	p := &parker{Sink: dest, cfg: c, limits: c.Parking.orDefault(), deps: deps, log: deps.Log.With("sink", c.Name), refused: map[change.Position]*Refusal{}, obeyed: map[string]bool{}}
	p.forward, _ = abilityOf[Irrevocable](dest)
	return p
}

// Parked gives how many changes are parked.
func (p *parker) Parked() int64 { return p.total }

// Resume implements Sink. It also does what people want of what is parked.
func (p *parker) Resume(ctx context.Context) (Checkpoint, error) {
	cp, err := p.Sink.Resume(ctx)
	if err != nil {
		return cp, err
	}
	if !p.again {
		clear(p.refused)
	}
	p.again, p.open = false, false
	passed := p.strip(&cp)
	if err := p.reload(ctx, &cp, passed); err != nil {
		return cp, err
	}
	p.at = cp
	return cp, p.obey(ctx)
}

// strip takes the lot's offset out of a checkpoint.
func (p *parker) strip(cp *Checkpoint) (passed int64) {
	offset, there := cp.Offsets[p.deps.Lot.Name()]
	if there {
		cp.Offsets = maps.Clone(cp.Offsets)
		delete(cp.Offsets, p.deps.Lot.Name())
	}
	return offset[0]
}

// stamp puts it in, and how much is parked.
func (p *parker) stamp(cp Checkpoint) Checkpoint {
	cp.Parked = p.total
	if p.passed > 0 {
		offsets := make(map[string]map[int32]int64, len(cp.Offsets)+1)
		maps.Copy(offsets, cp.Offsets)
		offsets[p.deps.Lot.Name()] = map[int32]int64{0: p.passed}
		cp.Offsets = offsets
	}
	return cp
}

// reload takes what the lot holds, without what a batch wrote that was not committed, and finishes what was.
func (p *parker) reload(ctx context.Context, cp *Checkpoint, passed int64) error {
	all, err := p.deps.Lot.Read(ctx)
	if err != nil {
		return err
	}
	if all.End < passed {
		p.log.Error("the topic of parked changes was deleted: what was parked is lost, rows of the destination may be older than the source's; sluice verify shows them",
			"topic", p.deps.Lot.Name())
		passed = all.End
	}
	p.passed = passed
	var w deadletter.Writing
	if all.Gone != nil {
		w.Unmark = true
		if all.Gone.Offset < passed {
			w.Remove = all.Gone.IDs
		}
	}
	for id, s := range all.Entries {
		if s.Offset >= passed {
			w.Remove = append(w.Remove, id)
		}
	}
	for _, id := range w.Remove {
		delete(all.Entries, id)
	}
	if err := p.write(ctx, &w); err != nil {
		return err
	}
	p.fill(all, cp)
	return nil
}

// write makes a writing durable, if there is anything in it.
func (p *parker) write(ctx context.Context, w *deadletter.Writing) (err error) {
	if w.Empty() {
		return nil
	}
	p.passed, err = p.deps.Lot.Write(ctx, w)
	return err
}

// fill makes the state that of a lot.
func (p *parker) fill(all *deadletter.Contents, cp *Checkpoint) {
	for _, t := range p.tables {
		p.deps.Metrics.park(p.cfg.Name, t.name, 0)
	}
	p.tables, p.versions, p.total = map[string]*parkedTable{}, map[*change.Table]*parkedTable{}, 0
	p.out, p.writing, p.gone, p.told, p.passing, p.parked = p.out[:0], deadletter.Writing{}, nil, 0, 0, window{}
	fresh := p.seen == window{}
	for _, s := range all.Sorted() {
		p.table(s.Table).add(s.At, s.Key, s.Linked, s.Shape)
		slot := slotOf(change.Micros(s.Time.UnixMicro()), parkingWindow)
		p.parked.add(slot, 1)
		if fresh {
			p.seen = window{}
			p.seen.add(slot, s.Of)
		}
		p.total++
	}
	for name, t := range p.tables {
		if v := all.Versions[name]; v != nil {
			t.version(v, cp.Commit)
		}
		t.committed = t.current
	}
	p.measure()
}

// table finds or makes the state of a table.
func (p *parker) table(name string) *parkedTable {
	t := p.tables[name]
	if t == nil {
		t = newParkedTable(name)
		p.tables[name] = t
	}
	return t
}

// measure shows how much is parked.
func (p *parker) measure() {
	for _, t := range p.tables {
		p.deps.Metrics.park(p.cfg.Name, t.name, len(t.changes))
	}
}

// Apply implements Sink. What the destination refuses is parked, and the rest of the batch applied.
func (p *parker) Apply(ctx context.Context, b *Batch) error {
	p.passing += int64(len(b.Changes))
	for {
		given, err := p.sort(ctx, b)
		if err != nil {
			return err
		}
		err = p.Sink.Apply(ctx, given)
		var refused *RefusedError
		switch {
		case err == nil && b.Open:
			p.open = true
			return nil
		case err == nil:
			return p.settle(ctx, b)
		case p.limits.Off || !errors.As(err, &refused) || !p.note(refused):
			return err
		case b.Open || p.open:
			p.again = true
			return &againError{len(refused.Refusals)}
		}
		if err := p.goBack(ctx); err != nil {
			return err
		}
	}
}

// goBack has the destination at the checkpoint after an error. It gives an againError where it stands elsewhere.
func (p *parker) goBack(ctx context.Context) error {
	cp, err := p.Sink.Resume(ctx)
	if errors.Is(err, ErrLeased) || err == nil && cp.Commit != p.at.Commit {
		p.again = true
		return &againError{}
	}
	return err
}

// over tells whether a change is behind the destination for good once its batch was applied.
func (p *parker) over(at change.Position, _ *Refusal) bool {
	return p.forward == nil || p.forward.Passed(at)
}

// againError has a large transaction read again without what the destination refuses of it.
type againError struct{ rows int }

func (e *againError) Error() string {
	if e.rows == 0 {
		return "the destination is not where the last batch left it: another process has served the sink, or batches are made again together"
	}
	return fmt.Sprintf("the destination refuses %d rows of a transaction that is larger than a batch: it is read again, and they are parked", e.rows)
}

// Retryable says that it is to be read again at once.
func (e *againError) Retryable() bool { return true }

// note takes refusals and tells whether there is a new one: else leaving out changes does not help.
func (p *parker) note(e *RefusedError) (more bool) {
	for i := range e.Refusals {
		r := &e.Refusals[i]
		if p.refused[r.At] == nil {
			p.refused[r.At], more = r, true
		}
	}
	return more
}

// settle follows the commit of a batch.
func (p *parker) settle(ctx context.Context, b *Batch) error {
	cp := &b.Checkpoint
	p.at, p.open, p.told = *cp, false, 0
	maps.DeleteFunc(p.refused, p.over)
	if p.passing > 0 && cp.Time != 0 {
		p.seen.add(slotOf(cp.Time, parkingWindow), p.passing)
	}
	p.passing = 0
	if p.total == 0 && len(p.gone) == 0 {
		return nil
	}
	for _, t := range p.tables {
		t.committed = t.current
	}
	p.measure()
	if len(p.gone) == 0 {
		return nil
	}
	w := deadletter.Writing{Remove: p.gone, Unmark: true}
	p.gone = nil
	return p.write(ctx, &w)
}

// Awaited implements Awaiter.
func (p *parker) Awaited(ctx context.Context, n int) ([]Awaited, error) {
	if from, can := p.Sink.(Awaiter); can {
		return from.Awaited(ctx, n)
	}
	return nil, nil
}

// CountAwaited implements Awaiter.
func (p *parker) CountAwaited(ctx context.Context) ([]AwaitedTable, error) {
	if from, can := p.Sink.(Awaiter); can {
		return from.CountAwaited(ctx)
	}
	return nil, nil
}

// Awaits implements Awaiter.
func (p *parker) Awaits(t *change.Table) bool {
	from, can := p.Sink.(Awaiter)
	return can && from.Awaits(t)
}

func (p *parker) behind() Sink { return p.Sink }

// Close implements Sink.
func (p *parker) Close() error { return errors.Join(p.Sink.Close(), p.deps.Lot.Close()) }

// timeNow is to the second: it is for people.
func timeNow() time.Time { return time.Now().UTC().Truncate(time.Second) }
