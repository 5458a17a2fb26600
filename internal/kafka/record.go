// Package kafka is everything we ask of Kafka: metadata and topics, a fenced idempotent producer that
// takes records straight into batches, and a reader of raw partitions. It is the only importer of
// kafka-go.
//
// Enters: records (Append), topics to exist (EnsureTopics). Leaves: committed data records (Feed,
// Tail, ReadAll) and the tag of the oldest unacknowledged one (OldestTag). Guaranteed: what is
// acknowledged stands in its partition once, in the order of Append, whatever connections and brokers
// did meanwhile; a reader never sees control records, aborted records or a record twice.
//
// kafka-go gives the encoding of requests and SASL. Connections, produce, fetch and record batches are
// our own: its Reader, Writer and Client lose or repeat records on compacted topics, aborted transactions and broken connections.
package kafka

import "cmp"

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

func compareTP(a, b TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}
