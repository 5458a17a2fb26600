package publish

import (
	"context"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/internal/retry"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// stream is one topic that takes changes: its partitions, where an earlier run left them, and the
// counts of the open group.
type stream struct {
	topic      string
	collection string // its name in END records: schema.table
	partitions []*kafka.Partition
	tails      []change.Position // the last position in each partition at our start
	fresh      bool              // all tails are passed: nothing to compare any more

	total  int64          // changes in the open group
	counts []int64        // of them by partition
	held   int64          // of them in the held topic
	swept  avro.SchemaIDs // set when the open group ends the table's repair
	hold   *hold          // nil while the table is published
}

// route is one version of a table on its way to its stream. While the table is held it has no more than
// these two.
type route struct {
	table   *change.Table
	shape   *change.Table // as the topic has it: the table, or what transforms make of it
	reshape *reshape      // nil for a table without transforms
	stream  *stream
	encoder *avro.Encoder
	pair    schemas.Pair
	ids     avro.SchemaIDs
	metrics tableMetrics
}

// openTables makes the topics of the tables known at the start.
func (p *Publisher) openTables(ctx context.Context, tables []*change.Table) error {
	if len(tables) == 0 {
		return nil
	}
	if err := schemas.CheckTopics(p.o.Source, tables); err != nil {
		return err
	}
	owners := map[string]string{}
	var topics []kafka.Topic
	for _, t := range tables {
		topic := schemas.Topic(p.o.Source, t.Schema, t.Name)
		owners[topic] = t.QualifiedName()
		topics = append(topics, kafka.Topic{Name: topic, Partitions: p.o.Partitions})
	}
	_, err := p.openStreams(ctx, topics, owners)
	return err
}

// openStreams creates the topics where needed, fences them and reads where they end.
func (p *Publisher) openStreams(ctx context.Context, topics []kafka.Topic, collections map[string]string) (map[string]*stream, error) {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	if _, err := p.client.EnsureTopics(ctx, topics); err != nil {
		return nil, fmt.Errorf("cannot prepare the topics of source %s: %w", p.o.Source, err)
	}
	handles, err := p.producer.Fence(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("cannot fence the topics of source %s: %w", p.o.Source, err)
	}
	for _, name := range names {
		tails, err := p.tails(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, t := range tails {
			p.reached = max(p.reached, t.Commit)
		}
		p.streams[name] = &stream{
			topic: name, collection: collections[name],
			partitions: handles[name], tails: tails, counts: make([]int64, len(handles[name])),
			hold: p.holds.byTopic[name],
		}
	}
	return p.streams, nil
}

// route gives the way of a table version, making it at the version's first change, which stands at.
func (p *Publisher) route(ctx context.Context, t *change.Table, at change.Position) (*route, error) {
	if p.last != nil && p.last.table == t {
		return p.last, nil
	}
	r, ok := p.routes[t]
	if !ok {
		var err error
		if r, err = p.newRoute(ctx, t, at); err != nil {
			return nil, fmt.Errorf("cannot publish table %s: %w", t.QualifiedName(), err)
		}
		p.routes[t] = r
	}
	p.last = r
	return r, nil
}

// newRoute makes the way of a table version. A version that cannot be published is held, unless an
// earlier run published it: then its change is in the topic, and the registry is waited for.
func (p *Publisher) newRoute(ctx context.Context, t *change.Table, at change.Position) (*route, error) {
	s, err := p.tableStream(ctx, schemas.Topic(p.o.Source, t.Schema, t.Name), t.QualifiedName())
	if err != nil {
		return nil, err
	}
	for !s.holds(at) {
		r, err := p.compile(ctx, t, s)
		if err == nil || ctx.Err() != nil {
			return r, err
		}
		if s.hold == nil {
			err = p.hold(ctx, t, s, at, err)
		} else {
			p.log.Error("waiting for the registry: it refuses what it took before the table was held", "table", t.QualifiedName(), "error", err)
			err = retry.Wait(ctx, lookEvery)
		}
		if err != nil {
			return nil, err
		}
	}
	return &route{table: t, stream: s}, nil
}

// compile prepares a table version for publication, with schemas that the registry has taken.
func (p *Publisher) compile(ctx context.Context, t *change.Table, s *stream) (*route, error) {
	re, err := p.reshapeOf(t)
	if err != nil {
		return nil, err
	}
	shape := t
	if re != nil {
		shape = re.mapping.Table()
	}
	l, err := p.settle(ctx, s.topic, shape)
	if err != nil {
		return nil, err
	}
	encoder, err := avro.NewEncoder(avro.Options{
		Source: p.o.Source, Database: p.o.Database, Version: p.o.Version,
		Topic: s.topic, Table: l.table, KeyID: l.key, ValueID: l.value,
	})
	if err != nil {
		return nil, err
	}
	p.forgetOlder(t)
	return &route{table: t, shape: shape, reshape: re, stream: s, encoder: encoder, pair: l.pair, ids: avro.SchemaIDs{Key: int32(l.key), Value: int32(l.value)}, metrics: p.metrics.table(t)}, nil
}

// forgetOlder drops the routes of versions that t replaces, so that many schema changes do not add
// up. A version that should still come is compiled again.
func (p *Publisher) forgetOlder(t *change.Table) {
	for old := range p.routes {
		if old.OID == t.OID {
			delete(p.routes, old)
		}
	}
}

// tableStream gives a topic's stream, opening that of a table that was not known at the start.
func (p *Publisher) tableStream(ctx context.Context, topic, collection string) (*stream, error) {
	s, ok := p.streams[topic]
	if !ok {
		all, err := p.openStreams(ctx, []kafka.Topic{{Name: topic, Partitions: p.o.Partitions}}, map[string]string{topic: collection})
		if err != nil {
			return nil, err
		}
		s = all[topic]
	}
	if s.collection != collection {
		return nil, fmt.Errorf("tables %s and %s would share the topic %s: rename one of them or leave it out of source.tables", s.collection, collection, topic)
	}
	return s, nil
}

// seen tells whether an earlier run has left position at in the partition. Positions in a partition
// rise, so once one lies beyond the tail the partition needs no more looks.
func (s *stream) seen(partition int32, at change.Position) bool {
	if s.fresh {
		return false
	}
	tail := &s.tails[partition]
	if at.Compare(*tail) <= 0 {
		return true
	}
	*tail = change.Position{}
	s.fresh = !s.anyTail()
	return false
}

func (s *stream) anyTail() bool {
	for _, t := range s.tails {
		if t != (change.Position{}) {
			return true
		}
	}
	return false
}

// published says that everything up to at is in the partitions. What an earlier run left may reach further.
func (s *stream) published(at change.Position) {
	for i := range s.tails {
		if s.tails[i].Compare(at) < 0 {
			s.tails[i] = at
		}
	}
	s.fresh = false
}

// holds tells whether a change waits in the held topic.
func (s *stream) holds(at change.Position) bool {
	return s.hold != nil && at.Compare(s.hold.Since) >= 0
}

// reset forgets the counts of the group that ended.
func (s *stream) reset() {
	s.total, s.held, s.swept = 0, 0, avro.SchemaIDs{}
	clear(s.counts)
}
