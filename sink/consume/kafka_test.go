package consume

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/internal/kafka/embedded"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
	"github.com/sluicecdc/sluice/schemas/registry"
	registryserver "github.com/sluicecdc/sluice/schemas/registry/embedded"
	"github.com/sluicecdc/sluice/sink"
)

// items is the table of this test: a key and a text.
var items = &change.Table{
	OID: 4711, Schema: "public", Name: "items", Identity: change.IdentityDefault, Key: []int{0},
	Columns: []change.Column{
		{Name: "id", Type: change.Type{OID: 23, Mod: -1, Name: "integer", Kind: change.Int4}},
		{Name: "note", Type: change.Type{OID: 25, Mod: -1, Name: "text", Kind: change.TextLike}},
	},
}

// system is a cluster, a registry, and what it takes to write a source's topics.
type system struct {
	t          *testing.T
	client     *kafka.Client
	registry   *registry.Client
	producer   *kafka.Producer
	partitions []*kafka.Partition
	ends       *kafka.Partition
	encoder    *avro.Encoder
	source     string
	topic      string
	endIDs     [2]int
	tag        uint64
	group      change.Group
	counts     map[int32]int64
	total      int64
	want       []string
}

func newSystem(t *testing.T, brokers []string) *system {
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	s := &system{t: t, source: fmt.Sprintf("src%d", time.Now().UnixNano())}
	s.topic = schemas.Topic(s.source, items.Schema, items.Name)
	server, err := registryserver.Open(t.TempDir(), log)
	s.must(err)
	web := httptest.NewServer(server)
	t.Cleanup(func() { web.Close(); server.Close() })
	s.registry, err = registry.New(registry.Config{Registry: web.URL}.WithDefaults(), log)
	s.must(err)
	cfg := kafka.DefaultConfig()
	cfg.Brokers = brokers
	s.client, err = kafka.Open(t.Context(), cfg, log)
	s.must(err)
	t.Cleanup(func() { s.client.Close() })
	return s
}

func (s *system) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// prepare makes the topics and the encoder.
func (s *system) prepare() {
	ctx, ends := s.t.Context(), schemas.TransactionTopic(s.source)
	_, err := s.client.EnsureTopics(ctx, []kafka.Topic{{Name: s.topic, Partitions: 3}, {Name: ends, Partitions: 1}})
	s.must(err)
	s.producer, err = s.client.NewProducer(ctx, kafka.ProducerConfig{TransactionalID: s.source})
	s.must(err)
	s.t.Cleanup(func() { s.producer.Close() })
	handles, err := s.producer.Fence(ctx, []string{s.topic, ends})
	s.must(err)
	s.partitions, s.ends = handles[s.topic], handles[ends][0]
	pair, err := schemas.ForTable(s.topic, items)
	s.must(err)
	ids := s.register(s.topic, pair)
	s.endIDs = s.register(ends, schemas.ForTransactions(s.source))
	s.encoder, err = avro.NewEncoder(avro.Options{
		Source: s.source, Database: "db", Version: "test", Topic: s.topic, Table: items, KeyID: ids[0], ValueID: ids[1],
	})
	s.must(err)
}

func (s *system) register(subject string, p schemas.Pair) (ids [2]int) {
	var err error
	ids[0], err = s.registry.Register(s.t.Context(), subject+"-key", p.Key)
	s.must(err)
	ids[1], err = s.registry.Register(s.t.Context(), subject+"-value", p.Value)
	s.must(err)
	return ids
}

func text(s string) change.Value { return change.Value{Format: change.Text, Data: []byte(s)} }

func itemRow(id int, note string) change.Row { return change.Row{text(fmt.Sprint(id)), text(note)} }

func keyOf(id int) change.Row { return change.Row{text(fmt.Sprint(id)), {}} }

func (s *system) begin(kind change.GroupKind) {
	s.group = change.Group{Kind: kind, XID: 700, Commit: s.group.Commit + 1000, Time: change.Micros(time.Now().UnixMicro())}
	s.counts, s.total = map[int32]int64{}, 0
}

// write appends one change to every partition that it belongs in.
func (s *system) write(c change.Change) {
	s.total++
	c.Table, c.Ordinal = items, s.total
	value, err := s.encoder.Envelope(nil, &s.group, &c, avro.Order{Total: s.total, Collection: s.total}, s.group.Time)
	s.must(err)
	s.want = append(s.want, show(&c))
	if c.Op == change.Truncate {
		for p := range s.partitions {
			s.send(int32(p), kafka.Record{Headers: []kafka.Header{{Key: headerOp, Value: []byte("t")}, {Key: headerValue, Value: value}}})
		}
		return
	}
	s.writeRow(&c, value)
}

func (s *system) writeRow(c *change.Change, value []byte) {
	row := c.After
	if c.Op == change.Delete {
		row = c.Before
	}
	key, err := s.encoder.Key(nil, row)
	s.must(err)
	r := kafka.Record{Key: key, Value: value}
	if c.OtherKey != nil {
		other, err := s.encoder.Key(nil, c.OtherKey)
		s.must(err)
		name := headerOldKey
		if c.Op == change.Delete {
			name = headerNewKey
		}
		r.Headers = []kafka.Header{{Key: name, Value: other}}
	}
	records := []kafka.Record{r}
	if c.Op == change.Delete {
		records = append(records, kafka.Record{Key: key, Headers: r.Headers})
	}
	s.send(kafka.PartitionFor(key, len(s.partitions)), records...)
}

func (s *system) send(p int32, records ...kafka.Record) {
	s.counts[p]++
	s.tag++
	s.must(s.producer.Append(s.t.Context(), s.partitions[p], s.tag, records...))
}

func (s *system) end() {
	e := avro.End{Status: "END", ID: avro.GroupID(&s.group), EventCount: s.total, TimeMillis: int64(s.group.Time) / 1000,
		Commit: s.group.Commit, Snapshot: s.group.Kind == change.Snapshot}
	c := avro.Collection{Name: items.QualifiedName(), EventCount: s.total}
	for p := range int32(len(s.partitions)) {
		if s.counts[p] > 0 {
			c.Partitions = append(c.Partitions, avro.PartitionCount{Partition: p, EventCount: s.counts[p]})
		}
	}
	if s.total > 0 {
		e.Collections = []avro.Collection{c}
	}
	s.must(s.producer.Append(s.t.Context(), s.ends, s.tag, kafka.Record{
		Key:   avro.AppendEndKey(avro.AppendFrame(nil, s.endIDs[0]), e.ID),
		Value: avro.AppendEnd(avro.AppendFrame(nil, s.endIDs[1]), &e),
	}))
	s.producer.Flush()
}

// show writes what a destination must get of a change.
func show(c *change.Change) string {
	cells := func(row change.Row) string {
		var out []string
		for _, v := range row {
			if v.Format == change.Absent {
				out = append(out, "-")
				continue
			}
			out = append(out, string(v.Data))
		}
		return strings.Join(out, ",")
	}
	return fmt.Sprintf("%d %c before(%s) after(%s) other(%s)", c.Ordinal, c.Op, cells(c.Before), cells(c.After), cells(c.OtherKey))
}

// writeHistory begins with a TRUNCATE, so that the first record met has no key.
func (s *system) writeHistory() {
	s.begin(change.Transaction)
	s.write(change.Change{Op: change.Truncate})
	s.end()
	s.begin(change.Snapshot)
	for i := range 300 {
		s.write(change.Change{Op: change.Read, After: itemRow(i, "from the snapshot")})
	}
	s.end()
	for i := range 50 {
		s.begin(change.Transaction)
		s.write(change.Change{Op: change.Create, After: itemRow(1000+i, "new")})
		s.write(change.Change{Op: change.Update, After: itemRow(i, "changed")})
		s.write(change.Change{Op: change.Delete, Before: keyOf(i), BeforeKind: change.BeforeKey, OtherKey: keyOf(2000 + i)})
		s.write(change.Change{Op: change.Create, After: itemRow(2000+i, "moved"), OtherKey: keyOf(i)})
		s.write(change.Change{Op: change.Delete, Before: keyOf(1000 + i), BeforeKind: change.BeforeKey})
		s.end()
	}
}

func (s *system) open(from sink.Checkpoint) sink.Consumer {
	c, err := Open(s.t.Context(), Config{Source: s.source, Tables: []TableName{{"public", "items"}}, BatchChanges: 40},
		Deps{Kafka: s.client, Registry: s.registry, Log: slog.New(slog.DiscardHandler)}, from)
	s.must(err)
	return c
}

// read gives what comes after the checkpoint, up to n whole batches or the end of the history.
func (s *system) read(at *sink.Checkpoint, n int) (got []string) {
	c := s.open(*at)
	defer c.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for n > 0 && at.Commit < s.group.Commit {
		b, err := c.Next(ctx, nil)
		s.must(err)
		for i := range b.Changes {
			got = append(got, show(&b.Changes[i]))
			if t := b.Changes[i].Table; len(t.Key) != 1 || t.QualifiedName() != "public.items" {
				s.t.Fatalf("table %+v", t)
			}
		}
		if !b.Open {
			*at = b.Checkpoint
			n--
		}
	}
	return got
}

func TestGroupsThroughKafka(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		b, err := embedded.Start(t.TempDir(), "127.0.0.1:0", slog.New(slog.DiscardHandler), func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		testThroughKafka(t, []string{b.Addr()})
	})
	t.Run("broker", func(t *testing.T) { testThroughKafka(t, harness.SharedKafka(t).Addrs()) })
}

func testThroughKafka(t *testing.T, brokers []string) {
	s := newSystem(t, brokers)
	opened := make(chan sink.Consumer)
	go func() { opened <- s.open(sink.Checkpoint{}) }() // before the topics are there
	s.prepare()
	(<-opened).Close()
	s.writeHistory()
	var at sink.Checkpoint
	got := s.read(&at, 3)
	for at.Commit < s.group.Commit {
		got = append(got, s.read(&at, 7)...)
	}
	if !slices.Equal(got, s.want) {
		t.Fatalf("got %d changes, want %d:\n%s", len(got), len(s.want), firstDifference(got, s.want))
	}
	s.checkAdded(at)
	s.must(s.client.CommitOffsets(t.Context(), sink.GroupName(s.source, "s"), at.Offsets))
}

// checkAdded takes the table out of the checkpoint, as if it had been added after it.
func (s *system) checkAdded(at sink.Checkpoint) {
	at.Offsets = map[string]map[int32]int64{schemas.TransactionTopic(s.source): at.Offsets[schemas.TransactionTopic(s.source)]}
	_, err := Open(s.t.Context(), Config{Source: s.source, Tables: []TableName{{"public", "items"}}},
		Deps{Kafka: s.client, Registry: s.registry, Log: slog.New(slog.DiscardHandler)}, at)
	if err == nil || !strings.Contains(err.Error(), "table public.items is new to this sink") {
		s.t.Errorf("a table added later gave %v", err)
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%d: got  %s\n    want %s", i, got[i], want[i])
		}
	}
	return "one is the beginning of the other"
}
