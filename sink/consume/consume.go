// Package consume turns partitions of Kafka back into whole groups in commit order. What enters are
// the records of a sink's tables and of the source's transaction topic; what leaves are batches for
// one destination, each with the checkpoint that names the next record of every partition.
// Guaranteed: a group is whole or an error says which record is wrong, nothing is given twice after
// a restart from a checkpoint, and memory is bounded whatever the size of a group.
package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/registry"
	"github.com/sluicecdc/sluice/sink"
)

// Defaults of the limits. A batch of 5,000 changes is where a longer transaction at a PostgreSQL
// destination no longer saves time; 4 MiB is 5,000 rows of 800 bytes.
const (
	DefaultBufferBytes  = 16 << 20
	DefaultBatchBytes   = 4 << 20
	DefaultBatchChanges = 5000
)

// Config says what to read.
type Config struct {
	Source string      // source.name
	Sink   string      // its name: some groups are meant for certain sinks only
	Tables []TableName // of the source
	// BufferBytes bounds what is fetched from Kafka and not yet consumed; BatchBytes and BatchChanges
	// bound a batch, of which two exist at a time. Zeros give the defaults.
	BufferBytes  int
	BatchBytes   int
	BatchChanges int
	// Alone is the commit of a group that begins a batch; 0 when no group need.
	Alone change.LSN
}

// TableName names a source table, unquoted.
type TableName struct{ Schema, Name string }

// Deps are the things that a consumer works with.
type Deps struct {
	Kafka    *kafka.Client
	Registry *registry.Client
	Log      *slog.Logger
	// Dropped counts records of groups that were cut short; nil counts nothing.
	Dropped interface{ Inc() }
}

// Open waits until the transaction topic exists and starts reading behind the checkpoint. The topic of a
// table may be absent, as the table may: it is read when an END names it.
func Open(ctx context.Context, cfg Config, deps Deps, from sink.Checkpoint) (sink.Consumer, error) {
	cfg.setDefaults()
	topics, err := findTopics(ctx, deps.Kafka, cfg.topics(), deps.Log)
	if err != nil {
		return nil, err
	}
	offsets := startOffsets(topics, from)
	reader, err := deps.Kafka.NewReader(ctx, kafka.ReaderConfig{Offsets: offsets, BufferBytes: cfg.BufferBytes})
	if err != nil {
		return nil, kafkaError(fmt.Errorf("cannot read the topics of source %s: %w", cfg.Source, err))
	}
	feed := func(tp kafka.TopicPartition) Feed { return reader.Feed(tp) }
	c := newConsumer(cfg, parts{
		feed: feed, offsets: offsets, codec: newCodec(deps.Registry), close: reader.Close, log: deps.Log, dropped: deps.Dropped,
		held: func(ctx context.Context) (Feed, func() error, error) { return openNotices(ctx, cfg.Source, deps.Kafka) },
	}, from)
	if err := c.refuseAdded(ctx, deps.Kafka, from); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Config) setDefaults() {
	if c.BufferBytes == 0 {
		c.BufferBytes = DefaultBufferBytes
	}
	if c.BatchBytes == 0 {
		c.BatchBytes = DefaultBatchBytes
	}
	if c.BatchChanges == 0 {
		c.BatchChanges = DefaultBatchChanges
	}
}

// topics gives the transaction topic first, then one for each table.
func (c *Config) topics() []string {
	topics := []string{schemas.TransactionTopic(c.Source)}
	for _, t := range c.Tables {
		topics = append(topics, schemas.Topic(c.Source, t.Schema, t.Name))
	}
	return topics
}

// startOffsets gives the checkpoint's offset for each partition, or its first record where the
// checkpoint does not know the partition.
func startOffsets(topics map[string]int, from sink.Checkpoint) map[kafka.TopicPartition]int64 {
	offsets := map[kafka.TopicPartition]int64{}
	for topic, partitions := range topics {
		for p := range int32(partitions) {
			offset, known := from.Offsets[topic][p]
			if !known {
				offset = fromStart
			}
			offsets[kafka.TopicPartition{Topic: topic, Partition: p}] = offset
		}
	}
	return offsets
}
