package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// hold is a table whose changes wait in the held topic, because a version of it cannot be published: the
// registry refuses its schemas, or no schema can stand for it. It stands in the journal while it lasts, so
// that the slot goes on and a restart does not forget it. Others look at it (Held), so it is replaced when
// something of it changes, shape apart.
type hold struct {
	Topic  string          `json:"topic"`
	Table  *change.Table   `json:"table"` // the version that waits first
	Since  change.Position `json:"since"` // of the first change that waits
	Offset int64           `json:"offset"`
	Reason string          `json:"reason"`

	shape *change.Table // as this run wrote it to the held topic last
}

// heldPrefix begins the journal's keys of holds; the topic follows.
const heldPrefix = "held/"

// holds are the tables that are held.
type holds struct {
	changes, notices *kafka.Partition // nil until the topic is needed
	tail             change.Position  // of the last change that waits
	next             time.Time        // look, see release.go

	mu      sync.Mutex // of byTopic, for Held
	byTopic map[string]*hold
}

// waiting is a record of the held topic's changes.
type waiting struct {
	// Shape is the table from here on; it stands alone.
	Shape  *change.Table  `json:"shape,omitempty"`
	Group  change.Group   `json:"group"`
	Order  avro.Order     `json:"order"`
	Change *change.Change `json:"change,omitempty"` // without its table
}

var errNoChange = errors.New("it holds no change")

// openHolds takes over what an earlier run left.
func (p *Publisher) openHolds(ctx context.Context) error {
	p.holds.byTopic = map[string]*hold{}
	for key, value := range p.journal.entries {
		if !strings.HasPrefix(key, heldPrefix) {
			continue
		}
		var h hold
		if err := json.Unmarshal(value, &h); err != nil {
			return fmt.Errorf("cannot read in topic %s what is held: %w; its changes wait in topic %s", schemas.StateTopic(p.o.Source), err, schemas.HeldTopic(p.o.Source))
		}
		p.holds.byTopic[h.Topic] = &h
		p.metrics.held(h.Table, 1)
	}
	if len(p.holds.byTopic) == 0 {
		return nil
	}
	return p.openHeldTopic(ctx)
}

// openHeldTopic makes the topic at the first table that is held. Nothing in it expires: who deletes from
// it decides about changes that Kafka has nowhere else.
func (p *Publisher) openHeldTopic(ctx context.Context) error {
	if p.holds.changes != nil {
		return nil
	}
	topic := schemas.HeldTopic(p.o.Source)
	if _, err := p.client.EnsureTopics(ctx, []kafka.Topic{{Name: topic, Partitions: schemas.HeldNotices + 1, Forever: true}}); err != nil {
		return fmt.Errorf("cannot prepare topic %s: %w", topic, err)
	}
	handles, err := p.producer.Fence(ctx, []string{topic})
	if err != nil {
		return fmt.Errorf("cannot fence topic %s: %w", topic, err)
	}
	tails, err := p.client.Tail(ctx, topic, 1)
	if err != nil {
		return fmt.Errorf("cannot read the end of topic %s: %w", topic, err)
	}
	for _, r := range tails[schemas.HeldChanges] {
		var w waiting
		if err := json.Unmarshal(r.Value, &w); err != nil || w.Change == nil {
			return fmt.Errorf("cannot read offset %d of topic %s: it is not a change that waits: %w", r.Offset, topic, cmp.Or(err, errNoChange))
		}
		p.holds.tail = change.Position{Commit: w.Group.Commit, Ordinal: w.Change.Ordinal}
	}
	p.holds.changes, p.holds.notices = handles[topic][schemas.HeldChanges], handles[topic][schemas.HeldNotices]
	return nil
}

// hold begins to hold a table at its first change that cannot be published.
func (p *Publisher) hold(ctx context.Context, t *change.Table, s *stream, at change.Position, refused error) error {
	if err := p.openHeldTopic(ctx); err != nil {
		return err
	}
	if err := p.producer.Wait(ctx); err != nil {
		return err
	}
	_, end, err := p.client.Offsets(ctx, schemas.HeldTopic(p.o.Source))
	if err != nil {
		return err
	}
	h := &hold{Topic: s.topic, Table: t, Since: at, Offset: end[schemas.HeldChanges], Reason: refused.Error()}
	if err := p.note(ctx, s, h); err != nil {
		return err
	}
	p.holds.next = time.Now().Add(lookEvery)
	p.metrics.held(t, 1)
	p.log.Error("table is held: its changes wait, in order, in the held topic; the others go on, and sinks with this table wait at its first change that waits",
		"table", t.QualifiedName(), "lsn", at.Commit, "topic", schemas.HeldTopic(p.o.Source), "reason", h.Reason)
	return nil
}

// note makes what is known of a hold durable, and tells the readers.
func (p *Publisher) note(ctx context.Context, s *stream, h *hold) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := p.tell(ctx, &schemas.Notice{Table: s.collection, Reason: h.Reason, Commit: h.Since.Commit}); err != nil {
		return err
	}
	if err := p.Put(ctx, heldPrefix+h.Topic, b); err != nil {
		return err
	}
	p.holds.mu.Lock()
	defer p.holds.mu.Unlock()
	p.holds.byTopic[h.Topic], s.hold = h, h
	return nil
}

func (p *Publisher) tell(ctx context.Context, n *schemas.Notice) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return p.producer.Append(ctx, p.holds.notices, p.progress.tag(), kafka.Record{TimeMillis: time.Now().UnixMilli(), Key: []byte(n.Table), Value: b})
}

// wait puts a change of a held table where it waits, behind its table's shape when that is a new one. Both
// are one append, so that the last record of the partition always has a position.
func (p *Publisher) wait(ctx context.Context, s *stream, g *change.Group, c *change.Change) error {
	order := p.order(s)
	s.held++
	at := change.Position{Commit: g.Commit, Ordinal: c.Ordinal}
	if at.Compare(p.holds.tail) <= 0 {
		p.metrics.Resent.Inc()
		return nil
	}
	bare := *c
	bare.Table = nil
	records := []waiting{{Group: *g, Order: order, Change: &bare}}
	if s.hold.shape != c.Table {
		records = slices.Insert(records, 0, waiting{Shape: c.Table})
	}
	if err := p.appendWaiting(ctx, s, records); err != nil {
		return fmt.Errorf("cannot put a change of the held table %s into topic %s: %w", s.collection, schemas.HeldTopic(p.o.Source), err)
	}
	s.hold.shape, p.holds.tail = c.Table, at
	return nil
}

func (p *Publisher) appendWaiting(ctx context.Context, s *stream, all []waiting) error {
	records := make([]kafka.Record, len(all))
	for i := range all {
		b, err := json.Marshal(&all[i])
		if err != nil {
			return err
		}
		records[i] = kafka.Record{TimeMillis: int64(p.group.now) / 1000, Key: []byte(s.topic), Value: b}
	}
	return p.producer.Append(ctx, p.holds.changes, p.progress.tag(), records...)
}

// Held implements capture.Holder.
func (p *Publisher) Held() map[string]string {
	p.holds.mu.Lock()
	defer p.holds.mu.Unlock()
	out := map[string]string{}
	for _, h := range p.holds.byTopic {
		out[h.Table.QualifiedName()] = h.Reason
	}
	return out
}

func (p *Publisher) heldTopics() []string { return slices.Sorted(maps.Keys(p.holds.byTopic)) }
