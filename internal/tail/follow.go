package tail

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/sluicecdc/sluice/internal/kafka"
)

// Emit takes one record, which is valid during the call.
type Emit func(partition int32, r *kafka.Record) error

// Existing calls emit for every record that stands in the topic at the call, in order within each
// partition.
func Existing(ctx context.Context, client *kafka.Client, topic string, emit Emit) error {
	if _, _, err := partitions(ctx, client, topic); err != nil {
		return err
	}
	if err := client.ReadAll(ctx, topic, emit); err != nil {
		return fmt.Errorf("cannot read topic %s: %w", topic, err)
	}
	return nil
}

// Follow calls emit for every record from the start or the end of the topic on, in order within each
// partition, until ctx ends. Calls do not overlap.
func Follow(ctx context.Context, client *kafka.Client, topic string, fromStart bool, emit Emit) error {
	first, end, err := partitions(ctx, client, topic)
	if err != nil {
		return err
	}
	at := map[kafka.TopicPartition]int64{}
	for i := range end {
		tp := kafka.TopicPartition{Topic: topic, Partition: int32(i)}
		if at[tp] = end[i]; fromStart {
			at[tp] = first[i]
		}
	}
	reader, err := client.NewReader(ctx, kafka.ReaderConfig{Offsets: at, BufferBytes: followBuffer})
	if err != nil {
		return fmt.Errorf("cannot read topic %s: %w", topic, err)
	}
	err = each(ctx, reader, at, emit)
	return errors.Join(err, reader.Close())
}

// followBuffer holds what is fetched ahead of a terminal, in bytes: one batch of each of 32 partitions.
const followBuffer = 8 << 20

func each(ctx context.Context, reader *kafka.Reader, at map[kafka.TopicPartition]int64, emit Emit) error {
	group, inner := errgroup.WithContext(ctx)
	var one sync.Mutex
	for tp := range at {
		feed := reader.Feed(tp)
		group.Go(func() error {
			for {
				r, err := feed.Next(inner)
				if err != nil {
					return err
				}
				one.Lock()
				err = emit(tp.Partition, r)
				one.Unlock()
				if err != nil {
					return err
				}
			}
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return nil // asked to stop
	}
	return err
}

// partitions gives where each partition of a topic begins and ends.
func partitions(ctx context.Context, client *kafka.Client, topic string) (first, end []int64, err error) {
	n, err := client.Partitions(ctx, topic)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 {
		return nil, nil, fmt.Errorf("there is no topic %s: capture creates the topics of its tables when it starts", topic)
	}
	return client.Offsets(ctx, topic)
}
