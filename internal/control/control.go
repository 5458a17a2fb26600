// Package control is the topic {source}.sluice.control: what people want of the processes of a source, so
// that it can be said from any machine and survives restarts. A record's key is what a wish is about, such as
// snapshot/ID, its value the wish as JSON; the newest of a key counts, and the topic is compacted to it.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/internal/retry"
	"github.com/sluicecdc/sluice/internal/tail"
	"github.com/sluicecdc/sluice/schemas"
)

// Wishes are all that are in force, by key.
type Wishes map[string][]byte

// Ensure creates the topic where it is not there.
func Ensure(ctx context.Context, client *kafka.Client, source string) error {
	topic := schemas.ControlTopic(source)
	if _, err := client.EnsureTopics(ctx, []kafka.Topic{{Name: topic, Partitions: 1, Compacted: true}}); err != nil {
		return fmt.Errorf("cannot prepare topic %s: %w", topic, err)
	}
	return nil
}

// Write adds wishes, all of them or, after an error, perhaps some. It returns when they are durable. The topic is
// created where it is not there.
func Write(ctx context.Context, client *kafka.Client, source string, wishes Wishes) error {
	if err := Ensure(ctx, client, source); err != nil {
		return err
	}
	return write(ctx, client, source, "", wishes)
}

// WriteAs is Write for a process that runs, by its name among those of the source: processes do not disturb each
// other, nor people. The topic must be there.
func WriteAs(ctx context.Context, client *kafka.Client, source, name string, wishes Wishes) error {
	return write(ctx, client, source, "-"+name, wishes)
}

func write(ctx context.Context, client *kafka.Client, source, suffix string, wishes Wishes) error {
	topic := schemas.ControlTopic(source)
	producer, err := client.NewProducer(ctx, kafka.ProducerConfig{TransactionalID: "sluice-control-" + source + suffix})
	if err != nil {
		return fmt.Errorf("cannot write to topic %s: %w", topic, err)
	}
	defer func() { _ = producer.Close() }() // what counts is acknowledged by then
	handles, err := producer.Fence(ctx, []string{topic})
	if err != nil {
		return fmt.Errorf("cannot write to topic %s: %w", topic, err)
	}
	for key, value := range wishes {
		r := kafka.Record{TimeMillis: time.Now().UnixMilli(), Key: []byte(key), Value: value}
		if err := producer.Append(ctx, handles[topic][0], 1, r); err != nil {
			return fmt.Errorf("cannot write to topic %s: %w", topic, err)
		}
	}
	if err := producer.Wait(ctx); err != nil {
		return fmt.Errorf("cannot write to topic %s: %w", topic, err)
	}
	return nil
}

// Read gives the wishes in force; none when there is no topic.
func Read(ctx context.Context, client *kafka.Client, source string) (Wishes, error) {
	return ReadMap(ctx, client, schemas.ControlTopic(source))
}

// ReadMap gives the entries of a compacted topic by key; none when there is no topic.
func ReadMap(ctx context.Context, client *kafka.Client, topic string) (Wishes, error) {
	all, _, err := read(ctx, client, topic)
	return all, err
}

// read gives the entries of a topic and the offset of the last record that it has read; none and -1 when there is
// no topic.
func read(ctx context.Context, client *kafka.Client, topic string) (all Wishes, last int64, err error) {
	all, last = Wishes{}, -1
	n, err := client.Partitions(ctx, topic)
	if err == nil && n > 0 {
		err = client.ReadAll(ctx, topic, func(_ int32, r *kafka.Record) error {
			all.take(r)
			last = r.Offset
			return nil
		})
	}
	if err != nil {
		return nil, -1, fmt.Errorf("cannot read topic %s: %w", topic, err)
	}
	return all, last, nil
}

// Put adds a wish to those that are to be written.
func (w Wishes) Put(key string, wish any) error {
	b, err := json.Marshal(wish)
	w[key] = b
	return err
}

func (w Wishes) take(r *kafka.Record) {
	if r.Value == nil {
		delete(w, string(r.Key))
		return
	}
	w[string(r.Key)] = bytes.Clone(r.Value)
}

// topicCheck is how often the topic is asked for while it is not there.
const topicCheck = time.Second

// Follow gives the wishes in force to f, at once and each time that they change, until ctx ends. Faults are told
// and tried again: nobody is stopped because nothing can be wished for.
func Follow(ctx context.Context, client *kafka.Client, source string, f func(Wishes), told func(error)) {
	pause := retry.Backoff{First: time.Second, Most: 30 * time.Second}
	for ctx.Err() == nil {
		err := follow(ctx, client, schemas.ControlTopic(source), f)
		if err == nil || ctx.Err() != nil {
			return
		}
		told(err)
		if retry.Wait(ctx, pause.Next()) != nil {
			return
		}
	}
}

// follow tells of no state that was in force only before: who steps in must not obey what was taken back since.
func follow(ctx context.Context, client *kafka.Client, topic string, f func(Wishes)) error {
	all, last, err := read(ctx, client, topic)
	if err != nil {
		return err
	}
	f(maps.Clone(all))
	if err := await(ctx, client, topic); err != nil {
		return err
	}
	return tail.Follow(ctx, client, topic, true, func(_ int32, r *kafka.Record) error {
		if r.Offset > last {
			all.take(r)
			f(maps.Clone(all))
		}
		return nil
	})
}

// await waits until there is a topic: capture creates it when it starts, or whoever wishes first.
func await(ctx context.Context, client *kafka.Client, topic string) error {
	for {
		n, err := client.Partitions(ctx, topic)
		if err != nil || n > 0 {
			return err
		}
		if err := retry.Wait(ctx, topicCheck); err != nil {
			return err
		}
	}
}
