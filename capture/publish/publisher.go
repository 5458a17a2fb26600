// Package publish turns groups of changes into records of Kafka topics and says how far they are
// durable. Groups enter in commit order from one goroutine; keys and values are encoded straight
// from the source's bytes, appended to the record batch of their partition, and each group is closed
// by an END record in the transaction topic. Guaranteed: what Durable names is acknowledged by all
// in-sync replicas, whole and in order; what an earlier run left in a topic is not written again.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
	"github.com/sluicecdc/sluice/schemas/registry"
	"github.com/sluicecdc/sluice/transform"
)

// TruncateMode says what becomes of a TRUNCATE.
type TruncateMode string

// The ways of source.truncate.
const (
	TruncatePublish TruncateMode = "publish" // a null record with headers in every partition
	TruncateValue   TruncateMode = "value"   // an op t envelope, once, as Debezium writes it
	TruncateSkip    TruncateMode = "skip"
)

// Options are what a publisher needs to know of its source.
type Options struct {
	Source       string // source.name, the prefix of the topics
	Database     string
	Version      string // of sluice, for the envelope
	Partitions   int    // of topics that are created
	Tombstones   bool   // after a delete
	Transactions bool   // groups become visible whole to readers in read_committed
	Truncate     TruncateMode
	BufferBytes  int // records not yet acknowledged
	// Transforms are done to changes before they become records.
	Transforms []transform.Rule
}

// Publisher is the way from groups to Kafka. It is a capture.Downstream.
type Publisher struct {
	o        Options
	client   *kafka.Client
	producer *kafka.Producer
	registry *registry.Client
	log      *slog.Logger
	metrics  *Metrics

	journal  journal
	ends     endWriter
	later    later
	holds    holds
	messages *messageRoute
	streams  map[string]*stream // by topic
	routes   map[*change.Table]*route
	last     *route // of the previous change: most changes follow one of the same table

	group    groupState
	reached  change.LSN // by an earlier run, in any topic of a table
	progress progress
	failed   error

	key, value, otherKey []byte // scratch of the record at hand
}

// groupState is what is known of the open group.
type groupState struct {
	open    bool
	total   int64     // changes so far
	touched []*stream // topics of the group, in order of their first change
	now     change.Micros
}

// Open creates the source's topics, takes their partitions away from every earlier capture of the
// source, and learns where the topics end. tables are those known now; others may follow.
func Open(ctx context.Context, o Options, client *kafka.Client, reg *registry.Client, tables []*change.Table, log *slog.Logger, m *Metrics) (*Publisher, error) {
	producer, err := client.NewProducer(ctx, kafka.ProducerConfig{
		TransactionalID: "sluice-" + o.Source,
		BufferBytes:     o.BufferBytes,
		Transactions:    o.Transactions,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot take over the topics of source %s: %w", o.Source, err)
	}
	p := &Publisher{
		o: o, client: client, producer: producer, registry: reg, log: log, metrics: m,
		streams: map[string]*stream{}, routes: map[*change.Table]*route{},
	}
	if err := p.open(ctx, tables); err != nil {
		_ = producer.Close() // the first error is the one to tell
		return nil, err
	}
	return p, nil
}

func (p *Publisher) open(ctx context.Context, tables []*change.Table) error {
	if err := p.checkTransforms(tables); err != nil {
		return err
	}
	if err := p.openJournal(ctx); err != nil {
		return err
	}
	if err := p.openHolds(ctx); err != nil {
		return err
	}
	if err := p.openEnds(ctx); err != nil {
		return err
	}
	return p.openTables(ctx, tables)
}

// Publish implements capture.Publisher.
func (p *Publisher) Publish(ctx context.Context, g *change.Group, c *change.Change) error {
	if p.failed != nil {
		return p.failed
	}
	if !p.group.open {
		p.begin()
	}
	p.failed = p.publish(ctx, g, c)
	return p.failed
}

func (p *Publisher) publish(ctx context.Context, g *change.Group, c *change.Change) error {
	if c == nil {
		return p.end(ctx, g)
	}
	if c.Op == change.Message {
		return p.publishMessage(ctx, g, c)
	}
	at := change.Position{Commit: g.Commit, Ordinal: c.Ordinal}
	r, err := p.route(ctx, c.Table, at)
	if err != nil {
		return err
	}
	if r.stream.hold != nil && r.stream.holds(at) {
		return p.wait(ctx, r.stream, g, c)
	}
	return p.send(ctx, r, g, c)
}

func (p *Publisher) send(ctx context.Context, r *route, g *change.Group, c *change.Change) error {
	if c.Op == change.Truncate {
		return p.sendTruncate(ctx, r, g, c)
	}
	return p.sendRow(ctx, r, g, c)
}

func (p *Publisher) begin() {
	p.group.open = true
	p.group.total = 0
	p.group.touched = p.group.touched[:0]
	p.group.now = micros(time.Now())
}

// Abandon implements capture.Publisher. The group's records stay, and have no END.
func (p *Publisher) Abandon() {
	for _, s := range p.group.touched {
		s.reset()
	}
	p.group.open = false
}

// Flush implements capture.Publisher.
func (p *Publisher) Flush() (more bool) {
	p.producer.Flush()
	if p.failed == nil {
		now, cancel := context.WithCancel(context.Background())
		cancel() // where memory is spent it is not waited for
		if err := p.goOn(now); !errors.Is(err, context.Canceled) {
			p.failed = err
		}
		if !p.group.open {
			p.producer.Commit()
		}
		p.producer.Flush()
	}
	return len(p.later.ends) > 0 || len(p.later.notes) > 0
}

// Close ends the producer. What was not acknowledged stays unconfirmed and is sent again by the
// slot to the next run.
func (p *Publisher) Close() error { return p.producer.Close() }

// order counts a change of the open group and gives its place.
func (p *Publisher) order(s *stream) avro.Order {
	if s.total == 0 {
		p.group.touched = append(p.group.touched, s)
	}
	s.total++
	p.group.total++
	// One look at the clock for some hundred rows is exact enough for "when we handled it".
	if p.group.total%256 == 0 {
		p.group.now = micros(time.Now())
	}
	return avro.Order{Total: p.group.total, Collection: s.total}
}

func micros(t time.Time) change.Micros { return change.Micros(t.UnixMicro()) }

func (p *Publisher) subjectID(ctx context.Context, topic, part, schema string) (int, error) {
	id, err := p.registry.Register(ctx, topic+"-"+part, schema)
	if err != nil {
		return 0, fmt.Errorf("cannot register the %s schema of topic %s: %w", part, topic, err)
	}
	crash.At("schema registered")
	return id, nil
}

// register gives the registry ids of both schemas of a topic; the key's is 0 without a key.
func (p *Publisher) register(ctx context.Context, topic string, pair schemas.Pair) (key, value int, err error) {
	if pair.Key != "" {
		if key, err = p.subjectID(ctx, topic, "key", pair.Key); err != nil {
			return 0, 0, err
		}
	}
	value, err = p.subjectID(ctx, topic, "value", pair.Value)
	return key, value, err
}
