package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
)

const (
	// lookEvery is how often it is tried whether a held table can go on. The end of a group is the
	// occasion, of which heartbeats make sure.
	lookEvery = 3 * time.Second
	// lookTimeout bounds the question, so that a registry that is away keeps no other table from going on,
	// and awayEvery how often it is waited for: a tenth of the time at most.
	lookTimeout = 2 * time.Second
	awayEvery   = 10 * lookTimeout
)

// look tries to release what is held. It is called at the end of the group that committed at commit. While
// the slot sends again what waits already, nothing is released: the rest would be published beside it.
func (p *Publisher) look(ctx context.Context, commit change.LSN) error {
	if len(p.holds.byTopic) == 0 || time.Now().Before(p.holds.next) || commit < p.holds.tail.Commit {
		return nil
	}
	p.holds.next = time.Now().Add(lookEvery)
	for _, topic := range p.heldTopics() {
		h := p.holds.byTopic[topic]
		s, err := p.tableStream(ctx, topic, h.Table.QualifiedName())
		if err == nil {
			err = p.tryRelease(ctx, s, h)
		}
		if err != nil {
			return fmt.Errorf("cannot release the held table %s: %w", h.Table.QualifiedName(), err)
		}
	}
	return nil
}

func (p *Publisher) tryRelease(ctx context.Context, s *stream, h *hold) error {
	asking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if _, err := p.compile(asking, h.Table, s); err != nil {
		if asking.Err() != nil {
			p.holds.next = time.Now().Add(awayEvery)
			return ctx.Err()
		}
		if err.Error() == h.Reason {
			return nil
		}
		changed := *h
		changed.Reason = err.Error()
		return p.note(ctx, s, &changed)
	}
	if err := p.producer.Wait(ctx); err != nil {
		return err
	}
	r := &release{p: p, h: h, s: s, shape: h.Table}
	return r.run(ctx)
}

// release publishes what waits for one table, in order, and gives for each group the notice that readers
// of the table wait for.
type release struct {
	p     *Publisher
	h     *hold
	s     *stream
	shape *change.Table
	route *route

	open    bool
	group   change.Group
	first   int64         // offset of the group's first change
	began   *change.Table // the shape there
	at      change.Position
	start   change.Position // of the group's first change
	records int64           // of the group
	changes int64           // of all groups
	refused string          // why a later version has to wait on
}

// errRefusedAgain says that a later version of the table has to wait on.
var errRefusedAgain = errors.New("a later version is refused too")

func (r *release) run(ctx context.Context) error {
	p, topic := r.p, schemas.HeldTopic(r.p.o.Source)
	p.group.now = micros(time.Now())
	err := p.client.ReadFrom(ctx, kafka.TopicPartition{Topic: topic, Partition: schemas.HeldChanges}, r.h.Offset, func(record *kafka.Record) error {
		if string(record.Key) != r.h.Topic {
			return nil
		}
		if err := r.read(ctx, record); err != nil {
			return fmt.Errorf("offset %d: %w", record.Offset, err)
		}
		return nil
	})
	switch {
	case errors.Is(err, errRefusedAgain):
		return r.stop(ctx)
	case err != nil:
		return fmt.Errorf("cannot publish what waits in topic %s: %w", topic, err)
	}
	return r.finish(ctx)
}

func (r *release) read(ctx context.Context, record *kafka.Record) error {
	var w waiting
	if err := json.Unmarshal(record.Value, &w); err != nil {
		return err
	}
	if w.Shape != nil {
		r.shape, r.route = w.Shape, nil
		return nil
	}
	if !r.open || w.Group.Commit != r.group.Commit {
		if err := r.endGroup(ctx); err != nil {
			return err
		}
		r.open, r.group, r.first, r.began, r.records = true, w.Group, record.Offset, r.shape, 0
		r.start = change.Position{Commit: w.Group.Commit, Ordinal: w.Change.Ordinal}
	}
	return r.change(ctx, &w)
}

// change publishes one change under the numbers that it had in its group.
func (r *release) change(ctx context.Context, w *waiting) error {
	if r.route == nil {
		route, err := r.p.compile(ctx, r.shape, r.s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.refused = err.Error()
			return errRefusedAgain
		}
		r.route = route
	}
	r.p.group.total, r.s.total = w.Order.Total-1, w.Order.Collection-1
	c := w.Change
	c.Table = r.shape
	if err := r.p.send(ctx, r.route, &r.group, c); err != nil {
		return err
	}
	if r.s.total == w.Order.Collection {
		r.records++
	}
	r.at = change.Position{Commit: r.group.Commit, Ordinal: c.Ordinal}
	r.changes++
	return nil
}

// endGroup tells the readers what became of the group at hand.
func (r *release) endGroup(ctx context.Context) error {
	if !r.open {
		return nil
	}
	n := schemas.Notice{Table: r.s.collection, Group: avro.GroupID(&r.group), Commit: r.group.Commit, EventCount: r.records, Partitions: map[int32]int64{}}
	for i, count := range r.s.counts {
		if count > 0 {
			n.Partitions[int32(i)] = count
		}
	}
	r.s.reset()
	r.open = false
	return r.p.tell(ctx, &n)
}

// stop keeps holding from the group on that cannot be published whole. What of it is in the topic already
// is passed over the next time.
func (r *release) stop(ctx context.Context) error {
	r.s.reset()
	rest := *r.h
	rest.Since, rest.Offset, rest.Table, rest.Reason = r.start, r.first, r.began, r.refused
	if r.at != (change.Position{}) {
		r.s.published(r.at)
	}
	return r.p.note(ctx, r.s, &rest)
}

// finish ends the hold, once everything that waited is durable where it belongs.
func (r *release) finish(ctx context.Context) error {
	p := r.p
	if err := r.endGroup(ctx); err != nil {
		return err
	}
	if err := p.producer.Wait(ctx); err != nil {
		return err
	}
	if err := p.Put(ctx, heldPrefix+r.h.Topic, nil); err != nil {
		return err
	}
	p.holds.mu.Lock()
	delete(p.holds.byTopic, r.h.Topic)
	p.holds.mu.Unlock()
	r.s.hold = nil
	maps.DeleteFunc(p.routes, func(_ *change.Table, known *route) bool { return known.stream == r.s })
	p.last = nil
	p.metrics.held(r.h.Table, 0)
	p.log.Info("table goes on: what waited is in its topic", "table", r.h.Table.QualifiedName(), "changes", r.changes)
	return nil
}
