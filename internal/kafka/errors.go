package kafka

import (
	"context"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// Code is an error code of the Kafka protocol (protocol guide, "Error Codes").
type Code int16

// The codes that the code of this package treats by name.
const (
	codeOffsetOutOfRange      Code = 1
	codeUnknownTopicPartition Code = 3
	codeTopicExists           Code = 36
	codeDuplicateSequence     Code = 46
	codeOutOfOrderSequence    Code = 45
	codeFencedEpoch           Code = 47
	codeTransactionTimeout    Code = 50
	codeFencedProducer        Code = 90
	codeSASLFailed            Code = 58
)

// retriable holds the codes after which the same request may succeed, resent as it was.
var retriable = map[Code]string{
	-1: "unknown server error", 3: "topic not (yet) known", 5: "no leader", 6: "not the leader", 7: "timed out",
	8: "broker not available", 9: "replica not available", 13: "network", 14: "coordinator loading",
	15: "coordinator not available", 16: "not the coordinator", 19: "too few replicas in sync",
	20: "too few replicas in sync", 41: "not the controller", 51: "concurrent transactions",
	55: "operation not attempted", 56: "storage", 74: "leader epoch", 75: "leader epoch",
	78: "offset not available", 89: "quota", 100: "unknown topic id",
}

// Retriable tells whether the same request may succeed later.
func (c Code) Retriable() bool { _, ok := retriable[c]; return ok }

// Error gives the code and the protocol guide's words for it.
func (c Code) Error() string { return kafkago.Error(c).Error() }

// err gives nil for success.
func (c Code) err() error {
	if c == 0 {
		return nil
	}
	return c
}

// FaultError is a connection to a broker that could not be made or broke.
type FaultError struct {
	Broker string // host:port
	Err    error
	Advice string // what to do, where the fault tells
	// Permanent faults are those that waiting does not heal: a refused password or certificate, TLS on
	// one side only.
	Permanent bool
	// Suspect faults look permanent but could also come from a broker that is just going down.
	Suspect bool
}

// Error names the broker, the reason and the advice.
func (e *FaultError) Error() string {
	s := fmt.Sprintf("broker %s: %v", e.Broker, e.Err)
	if e.Advice != "" {
		s += ": " + e.Advice
	}
	return s
}

// Unwrap gives the reason.
func (e *FaultError) Unwrap() error { return e.Err }

// RecordTooLargeError says that records, which must stay in one batch, exceed what their topic takes.
type RecordTooLargeError struct {
	Topic string
	Size  int // bytes of the batch that would hold them alone
	Limit int // max.message.bytes of the topic
}

// Error tells both sizes and the way out.
func (e *RecordTooLargeError) Error() string {
	return fmt.Sprintf("record of %d bytes for topic %s is larger than its max.message.bytes of %d: nothing was sent; raise it by "+
		"kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config max.message.bytes=%d (and kafka.max_message_bytes), then start again",
		e.Size, e.Topic, e.Limit, e.Topic, 2*e.Size)
}

// Retriable tells whether what failed may succeed when tried again later.
func Retriable(err error) bool {
	var code Code
	var fault *FaultError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, errClosed):
		return false
	case errors.As(err, &code):
		return code.Retriable()
	case errors.As(err, &fault):
		return !fault.Permanent
	}
	return errors.Is(err, errNoLeader)
}

// Fenced tells whether another process has taken over the transactional id of a producer.
func Fenced(err error) bool {
	var code Code
	return errors.As(err, &code) && (code == codeFencedEpoch || code == codeFencedProducer)
}

var (
	errClosed   = errors.New("the Kafka client is closed")
	errNoLeader = errors.New("the partition has no leader at the moment")
)

// OffsetOutOfRangeError says that the record to be read next is not in the partition any more, or not
// yet.
type OffsetOutOfRangeError struct {
	Topic     string
	Partition int32
	Offset    int64 // asked for
	First     int64 // of what is there; -1 when unknown
	End       int64 // likewise
}

// Error says what is there, what it means and what to do.
func (e *OffsetOutOfRangeError) Error() string {
	where := fmt.Sprintf("topic %s partition %d: offset %d is not there, only %d to %d", e.Topic, e.Partition, e.Offset, e.First, e.End)
	if e.First >= 0 && e.Offset < e.First {
		return where + ": records were removed by retention before this reader read them; what they changed is missing at the destination: take a new snapshot of the tables"
	}
	return where + ": the topic holds less than this reader has read already: it was deleted and created again, or a replica out of sync became leader; take a new snapshot of the tables"
}
