package consume

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
	"github.com/sluicecdc/sluice/sink"
)

// endless gives the records of one lap again and again; between laps, commits rise.
type endless struct {
	records []kafka.Record
	at      int
	offset  int64
}

func (e *endless) Poll() (*kafka.Record, error) {
	if e.at == len(e.records) {
		return nil, nil
	}
	r := &e.records[e.at]
	r.Offset = e.offset
	e.at++
	e.offset++
	return r, nil
}

func (e *endless) Next(ctx context.Context) (*kafka.Record, error) { return nil, io.EOF }
func (e *endless) Offset() int64                                   { return e.offset }

// pairOf gives the schemas of one table, as a registry would.
type pairOf schemas.Pair

func (p pairOf) Schema(_ context.Context, id int) (string, error) {
	if id == 1 {
		return p.Key, nil
	}
	return p.Value, nil
}

// BenchmarkConsume measures a change of two columns from the fetched record to the batch, in
// transactions of 1, 100 and 100,000 changes over three partitions.
func BenchmarkConsume(b *testing.B) {
	for _, size := range []int{1, 100, 100000} {
		b.Run(fmt.Sprint("transactions of ", size), func(b *testing.B) { benchmarkConsume(b, size) })
	}
}

func benchmarkConsume(b *testing.B, size int) {
	const lap = 100000
	feeds, pair := benchmarkLog(b, lap, size)
	offsets := map[kafka.TopicPartition]int64{}
	for tp := range feeds {
		offsets[tp] = 0
	}
	b.ReportAllocs()
	b.ResetTimer()
	done := 0
	for done < b.N {
		for _, f := range feeds {
			f.at, f.offset = 0, 0
		}
		cfg := Config{Source: "src", Tables: []TableName{{"public", "items"}}}
		cfg.setDefaults()
		c := newConsumer(cfg, parts{
			feed: func(tp kafka.TopicPartition) Feed { return feeds[tp] }, offsets: offsets, codec: newCodec(pair),
			log: slog.New(slog.DiscardHandler),
		}, sink.Checkpoint{})
		for lapped := 0; lapped < lap; {
			batch, err := c.Next(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			lapped += len(batch.Changes)
		}
		done += lap
	}
}

func benchmarkLog(b *testing.B, changes, size int) (map[kafka.TopicPartition]*endless, pairOf) {
	topic := schemas.Topic("src", "public", "items")
	pair, err := schemas.ForTable(topic, items)
	if err != nil {
		b.Fatal(err)
	}
	e, err := avro.NewEncoder(avro.Options{Source: "src", Topic: topic, Table: items, KeyID: 1, ValueID: 2})
	if err != nil {
		b.Fatal(err)
	}
	feeds := map[kafka.TopicPartition]*endless{endsOf: {}}
	for p := range int32(3) {
		feeds[kafka.TopicPartition{Topic: topic, Partition: p}] = &endless{}
	}
	for i := 0; i < changes; i += size {
		g := change.Group{XID: 1, Commit: change.LSN(i + 1), Time: 1}
		end := avro.End{Status: "END", ID: avro.GroupID(&g), EventCount: int64(size), Commit: g.Commit}
		counts := [3]int64{}
		for n := range size {
			c := change.Change{Op: change.Create, Table: items, Ordinal: int64(n + 1), After: itemRow(i+n, "some text of a usual length")}
			key, _ := e.Key(nil, c.After)
			value, err := e.Envelope(nil, &g, &c, avro.Order{Total: 1, Collection: 1}, 1)
			if err != nil {
				b.Fatal(err)
			}
			p := kafka.PartitionFor(key, 3)
			counts[p]++
			f := feeds[kafka.TopicPartition{Topic: topic, Partition: p}]
			f.records = append(f.records, kafka.Record{Key: key, Value: value})
		}
		col := avro.Collection{Name: "public.items", EventCount: int64(size)}
		for p, n := range counts {
			if n > 0 {
				col.Partitions = append(col.Partitions, avro.PartitionCount{Partition: int32(p), EventCount: n})
			}
		}
		end.Collections = []avro.Collection{col}
		feeds[endsOf].records = append(feeds[endsOf].records, kafka.Record{Value: avro.AppendEnd(avro.AppendFrame(nil, 3), &end)})
	}
	return feeds, pairOf(pair)
}
