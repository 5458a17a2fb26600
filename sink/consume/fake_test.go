package consume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
	"github.com/sluicecdc/sluice/sink"
)

// fakeLog is a set of partitions in memory.
type fakeLog struct {
	records map[kafka.TopicPartition][]kafka.Record
}

func newFakeLog() *fakeLog { return &fakeLog{records: map[kafka.TopicPartition][]kafka.Record{}} }

func (l *fakeLog) append(tp kafka.TopicPartition, r kafka.Record) {
	r.Offset = int64(len(l.records[tp]))
	l.records[tp] = append(l.records[tp], r)
}

// hole leaves out an offset, as a control record does.
func (l *fakeLog) hole(tp kafka.TopicPartition) {
	l.records[tp] = append(l.records[tp], kafka.Record{Offset: -1})
}

// fakeFeed reads one partition. A positive lateness lets Poll say "nothing at hand" now and then.
type fakeFeed struct {
	log    *fakeLog
	tp     kafka.TopicPartition
	at     int64
	chance *rand.Rand
	late   float64
	more   chan struct{} // closed or sent to when the log has grown
	copy   kafka.Record
	spoil  []byte
}

func (f *fakeFeed) Poll() (*kafka.Record, error) {
	if f.chance != nil && f.chance.Float64() < f.late {
		return nil, nil
	}
	return f.take(), nil
}

func (f *fakeFeed) Next(ctx context.Context) (*kafka.Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if r := f.take(); r != nil {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.more:
		}
	}
}

// take gives the next record in memory that the following call overwrites.
func (f *fakeFeed) take() *kafka.Record {
	for i := range f.spoil {
		f.spoil[i] = '#'
	}
	all := f.log.records[f.tp]
	for f.at < int64(len(all)) && all[f.at].Offset < 0 {
		f.at++
	}
	if f.at >= int64(len(all)) {
		return nil
	}
	f.copy = all[f.at]
	if f.copy.Value != nil {
		f.spoil = append(f.spoil[:0], f.copy.Value...)
		f.copy.Value = f.spoil
	}
	f.at++
	return &f.copy
}

func (f *fakeFeed) Offset() int64 { return f.at }

// fakeRecord is a change as the fake codec writes it.
type fakeRecord struct {
	Commit, Ordinal, Time int64
	Group, Table, Op      string
	Data                  string
	Snapshot              bool
}

type fakeCodec struct{ tables map[string]*change.Table }

func (k fakeCodec) change(_ context.Context, r *kafka.Record, into *buffer, out *avro.Record) error {
	value := r.Value
	if value == nil {
		value = header(r, headerValue)
	}
	var f fakeRecord
	if err := json.Unmarshal(value, &f); err != nil {
		return err
	}
	start := len(into.arena)
	into.arena = append(into.arena, f.Data...)
	row := append(into.row(1), change.Value{Format: change.Text, Data: into.arena[start:len(into.arena):len(into.arena)]})
	*out = avro.Record{
		Change:   change.Change{Op: change.Op(f.Op[0]), Table: k.tables[f.Table], After: row},
		Position: change.Position{Commit: change.LSN(f.Commit), Ordinal: f.Ordinal},
		Group:    f.Group, Snapshot: f.Snapshot, Time: change.Micros(f.Time),
	}
	return nil
}

func (k fakeCodec) table(context.Context, avro.SchemaIDs) (*change.Table, error) {
	return nil, errors.New("no schemas here")
}

func (fakeCodec) end(r *kafka.Record, out *avro.End) error {
	*out = avro.End{}
	return json.Unmarshal(r.Value, out)
}

func jsonOf(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// writer plays capture: it writes groups to the log and remembers what a sink must be given.
type writer struct {
	log        *fakeLog
	partitions map[string]int // by table name
	mine       map[string]bool
	commit     int64
	want       []string
	group      string
	ordinal    int64
	snapshot   bool
	counts     map[string]*avro.Collection
	held       map[string]int // by collection: the partitions of the open group from which on its records wait
}

func newWriter(log *fakeLog, partitions map[string]int, mine ...string) *writer {
	w := &writer{log: log, partitions: partitions, mine: map[string]bool{}, commit: 1000}
	for _, name := range mine {
		w.mine[name] = true
	}
	return w
}

func (w *writer) begin(snapshot bool) {
	w.commit += 10
	w.group, w.ordinal, w.snapshot = fmt.Sprintf("g:%d", w.commit), 0, snapshot
	w.counts, w.held = map[string]*avro.Collection{}, map[string]int{}
}

func (w *writer) tp(table string, p int) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: schemas.Topic("src", "public", table), Partition: int32(p)}
}

func (w *writer) count(table string, p int) {
	c := w.counts[table]
	if c == nil {
		c = &avro.Collection{Name: "public." + table}
		for i := range w.partitions[table] {
			c.Partitions = append(c.Partitions, avro.PartitionCount{Partition: int32(i)})
		}
		w.counts[table] = c
	}
	c.Partitions[p].EventCount++
}

func (w *writer) row(op byte, table string, p int, data string) {
	w.ordinal++
	w.count(table, p)
	w.counts[table].EventCount++
	w.log.append(w.tp(table, p), kafka.Record{Key: []byte("k"), Value: w.value(op, table, data)})
	w.expect(op, table, data)
}

func (w *writer) value(op byte, table, data string) []byte {
	return jsonOf(fakeRecord{
		Commit: w.commit, Ordinal: w.ordinal, Time: w.commit * 1000, Group: w.group, Table: table,
		Op: string(op), Data: data, Snapshot: w.snapshot,
	})
}

func (w *writer) expect(op byte, table, data string) {
	if w.mine[table] {
		w.want = append(w.want, fmt.Sprintf("%d+%d %c %s %s", w.commit, w.ordinal, op, table, data))
	}
}

func (w *writer) tombstone(table string, p int) {
	w.log.append(w.tp(table, p), kafka.Record{Key: []byte("k")})
}

func (w *writer) truncate(table string) {
	w.ordinal++
	for p := range w.partitions[table] {
		w.count(table, p)
		w.log.append(w.tp(table, p), kafka.Record{Headers: []kafka.Header{
			{Key: headerOp, Value: []byte("t")}, {Key: headerValue, Value: w.value('t', table, "")},
		}})
	}
	w.counts[table].EventCount++
	w.expect('t', table, "")
}

// end writes the END and says which offset it has.
func (w *writer) end() {
	e := avro.End{Status: "END", ID: w.group, Commit: change.LSN(w.commit), TimeMillis: w.commit, Snapshot: w.snapshot}
	if w.ordinal == 0 {
		e.Status = "HEARTBEAT"
	}
	for _, c := range w.counts {
		if from, held := w.held[c.Name]; held {
			w.release(c, from)
		}
		e.Collections = append(e.Collections, *c)
		e.EventCount += c.EventCount
	}
	w.log.append(endsOf, kafka.Record{Key: []byte("e"), Value: jsonOf(e)})
}

// hold has the END of the open group say that the records of a table from a partition on wait.
func (w *writer) hold(table string, from int) {
	w.held["public."+table] = from
}

// release moves counts from an END to a notice, among notices of other groups and tables.
func (w *writer) release(c *avro.Collection, from int) {
	n := schemas.Notice{Table: c.Name, Group: w.group, Commit: change.LSN(w.commit), EventCount: c.EventCount, Partitions: map[int32]int64{}}
	for i := from; i < len(c.Partitions); i++ {
		if p := c.Partitions[i]; p.EventCount > 0 {
			n.Partitions[p.Partition] = p.EventCount
		}
	}
	for _, p := range c.Partitions[:from] {
		n.EventCount -= p.EventCount
	}
	c.Held, c.Partitions = n.EventCount, c.Partitions[:from]
	other := n
	other.Table = "public.other"
	for _, notice := range []schemas.Notice{{Table: c.Name, Reason: "a reason", Commit: n.Commit}, other, n, n} {
		w.log.append(noticesOf, kafka.Record{Key: []byte(notice.Table), Value: jsonOf(notice)})
	}
}

// cutShort forgets the open group: its records stay, its END never comes.
func (w *writer) cutShort() { w.want = w.want[:w.wanted()] }

// wanted is the length of want before the open group.
func (w *writer) wanted() int {
	n := len(w.want)
	prefix := fmt.Sprintf("%d+", w.commit)
	for n > 0 && len(w.want[n-1]) > len(prefix) && w.want[n-1][:len(prefix)] == prefix {
		n--
	}
	return n
}

var noticesOf = kafka.TopicPartition{Topic: schemas.HeldTopic("src"), Partition: schemas.HeldNotices}

var endsOf = kafka.TopicPartition{Topic: schemas.TransactionTopic("src")}

// counter counts dropped records.
type counter int

func (c *counter) Inc() { *c++ }

// rig makes consumers over one log.
type rig struct {
	w       *writer
	chance  *rand.Rand
	late    float64
	limits  Config
	dropped counter
	more    chan struct{}
	feeds   map[kafka.TopicPartition]*fakeFeed
	codec   fakeCodec
}

func newRig(w *writer) *rig {
	r := &rig{w: w, more: make(chan struct{}), codec: fakeCodec{map[string]*change.Table{}}}
	for name := range w.partitions {
		r.codec.tables[name] = &change.Table{Schema: "public", Name: name, Columns: []change.Column{{Name: "v"}}}
	}
	return r
}

func (r *rig) open(from sink.Checkpoint) *consumer {
	cfg := r.limits
	cfg.Source = "src"
	topics := map[string]int{endsOf.Topic: 1}
	for _, name := range []string{"a", "b", "c"} {
		if r.w.mine[name] {
			cfg.Tables = append(cfg.Tables, TableName{"public", name})
			topics[schemas.Topic("src", "public", name)] = r.w.partitions[name]
		}
	}
	cfg.setDefaults()
	r.feeds = map[kafka.TopicPartition]*fakeFeed{}
	return newConsumer(cfg, parts{
		held: func(context.Context) (Feed, func() error, error) {
			return &fakeFeed{log: r.w.log, tp: noticesOf, more: r.more}, func() error { return nil }, nil
		},
		feed: r.feed, offsets: startOffsets(topics, from), codec: r.codec, close: func() error { return nil },
		log: slog.New(slog.NewTextHandler(io.Discard, nil)), dropped: &r.dropped,
	}, from)
}

func (r *rig) feed(tp kafka.TopicPartition) Feed {
	f := &fakeFeed{log: r.w.log, tp: tp, chance: r.chance, late: r.late, more: r.more}
	r.feeds[tp] = f
	return f
}

// start moves the feeds to their partitions' offsets.
func (r *rig) start(from sink.Checkpoint) *consumer {
	c := r.open(from)
	for tp, f := range r.feeds {
		f.at = from.Offsets[tp.Topic][tp.Partition]
	}
	return c
}

func describe(c *change.Change, commit change.LSN) string {
	data := ""
	if len(c.After) > 0 {
		data = string(c.After[0].Data)
	}
	return fmt.Sprintf("%d+%d %c %s %s", commit, c.Ordinal, c.Op, c.Table.Name, data)
}
