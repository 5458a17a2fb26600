package consume

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
)

// GroupError says that a partition does not hold what the END of a group announced.
type GroupError struct {
	Topic     string
	Partition int32
	Offset    int64 // of the record that is wrong
	Group     string
	Commit    change.LSN
	Reason    string
}

// Error says where, what, and what it means for the destination.
func (e *GroupError) Error() string {
	return fmt.Sprintf("cannot complete group %s (commit %s) at offset %d of topic %s, partition %d: %s; the destination keeps the state of the last whole group, and nothing was skipped: if records were removed from the topic (retention, a topic made anew), the destination needs a new initial copy",
		e.Group, e.Commit, e.Offset, e.Topic, e.Partition, e.Reason)
}

// fault marks an error of Kafka that may pass.
type fault struct{ error }

func (f fault) Retryable() bool { return true }
func (f fault) Unwrap() error   { return f.error }

// kafkaError keeps what internal/kafka knows of an error: whether to try again.
func kafkaError(err error) error {
	if kafka.Retriable(err) {
		return fault{err}
	}
	return err
}

func (p *partition) fault(err error) error {
	if ended(err) {
		return err
	}
	return kafkaError(fmt.Errorf("cannot read topic %s, partition %d: %w", p.Topic, p.Partition, err))
}

// ended tells that a context ended a wait, and nothing is wrong.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// badRecord reports a record that cannot be decoded.
func (p *partition) badRecord(r *kafka.Record, err error) error {
	return fmt.Errorf("cannot read offset %d of topic %s, partition %d, the destination stands before its group and nothing was skipped: %w", r.Offset, p.Topic, p.Partition, err)
}
