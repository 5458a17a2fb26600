package consume

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
	"github.com/sluicecdc/sluice/sink"
)

const (
	// idleInterval is how often a checkpoint without changes is given: a destination need not be written
	// for every transaction that touches none of its tables, and lag must stay true.
	idleInterval = 500 * time.Millisecond
	// patience is how long records that an END announced may be late before a line says so.
	patience = 10 * time.Second
)

// parts are what a consumer is made of.
type parts struct {
	feed    func(kafka.TopicPartition) Feed
	offsets map[kafka.TopicPartition]int64
	codec   codec
	close   func() error
	held    func(ctx context.Context) (Feed, func() error, error) // notices of the held topic, from their first
	log     *slog.Logger
	dropped interface{ Inc() }
}

// consumer implements sink.Consumer.
type consumer struct {
	cfg    Config
	codec  codec
	close  func() error
	held   func(ctx context.Context) (Feed, func() error, error)
	log    *slog.Logger
	ends   partition
	skip   change.LSN // ENDs up to here are in the destination; 0 when the offset says it
	tables map[string]*tableState
	all    []*cursor

	group   group
	starved *partition // whose record fill would need next
	rec     avro.Record

	now, other *buffer // the batch being filled, and the one given before
	cut        int     // changes of now that are given, or are going to be
	whole      int     // changes of now that belong to whole groups
	at         sink.Checkpoint
	given      time.Time // when the last checkpoint was given
}

func newConsumer(cfg Config, p parts, from sink.Checkpoint) *consumer {
	c := &consumer{
		cfg: cfg, codec: p.codec, close: p.close, held: p.held, log: p.log, tables: map[string]*tableState{},
		now: &buffer{}, other: &buffer{}, at: from,
		group: group{sink: cfg.Sink, log: p.log, drop: p.dropped},
	}
	tp := kafka.TopicPartition{Topic: schemas.TransactionTopic(cfg.Source)}
	c.ends = newPartition(tp, p)
	if p.offsets[tp] < 0 {
		c.skip = from.Commit
	}
	for _, t := range cfg.Tables {
		c.addTable(t, p, from.Commit)
	}
	return c
}

// newPartition names an offset from the start where the feed knows it, so that every checkpoint tells
// which partitions the sink reads.
func newPartition(tp kafka.TopicPartition, p parts) partition {
	feed, offset := p.feed(tp), p.offsets[tp]
	if offset < 0 {
		offset = feed.Offset()
	}
	return partition{TopicPartition: tp, feed: feed, next: offset, whole: offset}
}

func (c *consumer) addTable(name TableName, p parts, applied change.LSN) {
	t := &tableState{name: name.Schema + "." + name.Name}
	topic := schemas.Topic(c.cfg.Source, name.Schema, name.Name)
	for i := int32(0); ; i++ {
		tp := kafka.TopicPartition{Topic: topic, Partition: i}
		if _, ok := p.offsets[tp]; !ok {
			break
		}
		t.cursors = append(t.cursors, &cursor{partition: newPartition(tp, p), table: t, skip: applied})
	}
	c.tables[t.name] = t
	c.all = append(c.all, t.cursors...)
}

// Next implements sink.Consumer.
func (c *consumer) Next(ctx, due context.Context) (*sink.Batch, error) {
	c.swap()
	for {
		full, err := c.fill(ctx)
		if err != nil {
			return nil, err
		}
		if full || c.givable(due) {
			return c.give(full)
		}
		if err := c.wait(ctx, due); err != nil {
			return nil, err
		}
	}
}

// Close implements sink.Consumer.
func (c *consumer) Close() error {
	errs := []error{c.close()}
	for _, t := range c.tables {
		if t.notices != nil {
			errs = append(errs, t.notices.close())
		}
	}
	return errors.Join(errs...)
}

// swap turns to the other buffer and takes along what is read of a group that was not given: changes
// behind the last whole group, and the heads of the cursors.
func (c *consumer) swap() {
	old := c.now
	c.now, c.other = c.other, old
	c.now.reset(2 * c.cfg.BatchBytes)
	if c.group.open {
		for i := range old.batch.Changes[c.cut:] {
			c.now.batch.Changes = append(c.now.batch.Changes, c.now.adopt(&old.batch.Changes[c.cut+i]))
		}
		for _, cur := range c.group.cursors {
			if cur.have {
				cur.head = c.now.adopt(&cur.head)
			}
		}
	}
	c.cut, c.whole = 0, 0
}

// full tells whether the batch has reached a limit. It holds one change at least, whatever its size, and
// both halves of a key change or neither.
func (c *consumer) full() bool {
	n := len(c.now.batch.Changes)
	if n > 0 && c.group.open && c.group.left > 0 {
		if last := &c.now.batch.Changes[n-1]; last.Op == change.Delete && last.OtherKey != nil {
			return false
		}
	}
	return n > 0 && (n >= c.cfg.BatchChanges || c.now.size() >= c.cfg.BatchBytes)
}

// idleOver tells whether a checkpoint without changes may be given again.
func (c *consumer) idleOver() bool { return time.Since(c.given) >= idleInterval }
