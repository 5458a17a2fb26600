// Package kafka is everything we ask of Kafka: metadata and topics, a fenced idempotent producer that
// takes records straight into batches, and a reader of raw partitions. It is the only importer of
// kafka-go.
package kafka

import (
	"context"
	"log/slog"
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Header is one record header.
type Header struct {
	Key   string
	Value []byte
}

// Record is one Kafka record. A nil Key or Value is Kafka's null.
type Record struct {
	Offset     int64 // set by readers
	TimeMillis int64
	Key, Value []byte
	Headers    []Header
}

// Topic is what EnsureTopics creates.
type Topic struct {
	Name       string
	Partitions int
	Compacted  bool
}

// Config is the section "kafka" of the configuration.
type Config struct{}

// Client is one connection pool to a cluster.
type Client struct{}

// Open checks that the cluster answers.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Client, error) { panic("stub") }

// Close closes all connections.
func (c *Client) Close() error { panic("stub") }

// EnsureTopics creates what is missing with explicit settings and gives each topic's partition count
// as it is.
func (c *Client) EnsureTopics(ctx context.Context, topics []Topic) (map[string]int, error) {
	panic("stub")
}

// Tail gives the last data record of every partition of topic (nil where there is none), control
// records and aborted ones skipped. n > 1 gives up to n last records, oldest first.
func (c *Client) Tail(ctx context.Context, topic string, n int) ([][]Record, error) { panic("stub") }

// ReadAll calls f for every record of every partition up to the ends that stand at the call.
func (c *Client) ReadAll(ctx context.Context, topic string, f func(partition int32, r *Record) error) error {
	panic("stub")
}

// CommitOffsets stores offsets for a group without members, for lag tools.
func (c *Client) CommitOffsets(ctx context.Context, group string, offsets map[string]map[int32]int64) error {
	panic("stub")
}

// Producer is fenced and idempotent.
type Producer struct{}

// Partition is the producing side of one partition: resolved once, appended to often.
type Partition struct{}

// ProducerConfig bounds a producer.
type ProducerConfig struct {
	TransactionalID string
	BufferBytes     int // all unacknowledged records together; default 16 MiB
	BatchBytes      int // a batch is sealed at this size; default 256 KiB
}

// NewProducer gets a producer id under the transactional id, which fences every earlier owner.
func (c *Client) NewProducer(ctx context.Context, cfg ProducerConfig) (*Producer, error) {
	panic("stub")
}

// Fence makes the partitions of topics refuse every earlier owner and gives their handles by topic.
// It must precede the first Append to a partition and the Tail that is to be trusted.
func (p *Producer) Fence(ctx context.Context, topics []string) (map[string][]*Partition, error) {
	panic("stub")
}

// Append adds records, which stay together in one batch, to the partition's open batch. It blocks
// while BufferBytes are unacknowledged. tag is the caller's number, never falling across all
// partitions: see OldestTag. Keys, values and headers are copied. An error is final for the producer.
func (p *Producer) Append(ctx context.Context, to *Partition, tag uint64, records ...Record) error {
	panic("stub")
}

// Flush sends open batches as soon as the pipeline has room; it does not wait.
func (p *Producer) Flush() { panic("stub") }

// OldestTag gives the tag of the oldest record not yet acknowledged; false when there is none.
func (p *Producer) OldestTag() (tag uint64, ok bool) { panic("stub") }

// Wait flushes and returns when everything appended is acknowledged.
func (p *Producer) Wait(ctx context.Context) error { panic("stub") }

// Err gives the error that ended the producer, nil while it works.
func (p *Producer) Err() error { panic("stub") }

// Close drops what is not sent (Wait first to keep it) and ends the goroutines.
func (p *Producer) Close() error { panic("stub") }

// Reader fetches partitions ahead of its feeds within a byte budget.
type Reader struct{}

// ReaderConfig says where each partition is read from; -2 is its first record, -1 its end.
type ReaderConfig struct {
	Offsets     map[TopicPartition]int64
	BufferBytes int // fetched and not yet consumed, all partitions together
}

// NewReader starts fetching.
func (c *Client) NewReader(ctx context.Context, cfg ReaderConfig) (*Reader, error) { panic("stub") }

// Feed gives the partition's records in order.
func (r *Reader) Feed(tp TopicPartition) *Feed { panic("stub") }

// Close ends the fetching.
func (r *Reader) Close() error { panic("stub") }

// Feed is one partition's stream of committed data records. One goroutine uses it.
type Feed struct{}

// Next blocks until the partition's next record, which is valid until the call after it.
func (f *Feed) Next(ctx context.Context) (*Record, error) { panic("stub") }

// Poll is Next without waiting: nil when nothing is at hand.
func (f *Feed) Poll() (*Record, error) { panic("stub") }

// Offset is that of the record that the next call gives, or of the end.
func (f *Feed) Offset() int64 { panic("stub") }

// HighWatermark is the end of the partition as last told by the broker; -1 before the first answer.
func (f *Feed) HighWatermark() int64 { panic("stub") }
