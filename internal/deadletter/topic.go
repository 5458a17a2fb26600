package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/internal/crash"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
)

// bufferBytes bounds what is written and not acknowledged, in bytes; one record may be larger.
const bufferBytes = 1 << 20

// ErrTakenOver says that another process writes to the topic.
var ErrTakenOver = errors.New("another process of the sink has written there")

// Error says what could not be done with a topic.
type Error struct {
	Doing, Topic string
	Err          error
}

func (e *Error) Error() string {
	return "cannot " + e.Doing + " topic " + e.Topic + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Retryable tells whether trying again from the checkpoint may help.
func (e *Error) Retryable() bool { return kafka.Retriable(e.Err) || errors.Is(e.Err, ErrTakenOver) }

// Topic is that of one sink. One goroutine uses it. The topic is made when the first record is written.
type Topic struct {
	client   *kafka.Client
	name     string
	owner    string // the transactional id
	end      int64  // behind the last record that Read has seen
	producer *kafka.Producer
	to       *kafka.Partition
}

// Open gives the topic of a sink; it does not connect.
func Open(client *kafka.Client, source, sink string) *Topic {
	return &Topic{client: client, name: schemas.DeadLetterTopic(source, sink), owner: "sluice-dlq-" + source + "-" + sink}
}

// Name gives the topic's name.
func (t *Topic) Name() string { return t.name }

// Read gives what the topic holds, without the rows of entries. A record that cannot be read is an error: which
// row it is of, and so what must not pass it, is not known.
func (t *Topic) Read(ctx context.Context) (*Contents, error) {
	all := NewContents()
	n, err := t.client.Partitions(ctx, t.name)
	if err == nil && n > 0 {
		err = t.client.ReadAll(ctx, t.name, func(_ int32, r *kafka.Record) error {
			if err := all.Take(string(r.Key), r.Value, r.Offset); err != nil {
				return fmt.Errorf("the record at offset %d is none of sluice's: %w", r.Offset, err)
			}
			return nil
		})
	}
	if err != nil {
		return nil, &Error{"read", t.name, err}
	}
	t.end = all.End
	return all, nil
}

// errEnough ends a reading early.
var errEnough = errors.New("enough was read")

// Load gives entries whole; offsets rise. One that was removed meanwhile is left out.
func (t *Topic) Load(ctx context.Context, offsets []int64) (out []Entry, err error) {
	d := NewDecoder()
	err = t.client.ReadFrom(ctx, kafka.TopicPartition{Topic: t.name}, offsets[0], func(r *kafka.Record) error {
		for len(offsets) > 0 && offsets[0] < r.Offset {
			offsets = offsets[1:]
		}
		if len(offsets) == 0 {
			return errEnough
		}
		if offsets[0] > r.Offset || r.Value == nil {
			return nil
		}
		e, err := d.Entry(r.Value)
		if err != nil {
			return fmt.Errorf("the record at offset %d is none of sluice's: %w", r.Offset, err)
		}
		out = append(out, e)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, &Error{"read", t.name, err}
	}
	return out, nil
}

// Write makes records durable and gives the offset behind them. After an error some may be there. ErrTakenOver
// says that another process has written since Read.
func (t *Topic) Write(ctx context.Context, w *Writing) (end int64, err error) {
	records, err := w.Records()
	if err != nil {
		return 0, err
	}
	if end, err = t.write(ctx, records); err == nil {
		t.end = end
		crash.At("parked")
		return end, nil
	}
	_ = t.Close() // the next writing begins anew
	if kafka.Fenced(err) {
		err = ErrTakenOver
	}
	return 0, &Error{"write to", t.name, err}
}

func (t *Topic) write(ctx context.Context, records []Record) (int64, error) {
	if t.producer == nil {
		if err := t.take(ctx); err != nil {
			return 0, err
		}
	}
	for _, r := range records {
		if err := t.producer.Append(ctx, t.to, 1, kafka.Record{TimeMillis: time.Now().UnixMilli(), Key: []byte(r.Key), Value: r.Value}); err != nil {
			return 0, err
		}
	}
	if err := t.producer.Wait(ctx); err != nil {
		return 0, err
	}
	_, ends, err := t.client.Offsets(ctx, t.name)
	if err != nil {
		return 0, err
	}
	return ends[0], nil
}

// take has the topic refuse what earlier owners still write, and makes sure that they have written nothing since Read.
func (t *Topic) take(ctx context.Context) error {
	if _, err := t.client.EnsureTopics(ctx, []kafka.Topic{{Name: t.name, Partitions: 1, Compacted: true}}); err != nil {
		return err
	}
	producer, err := t.client.NewProducer(ctx, kafka.ProducerConfig{TransactionalID: t.owner, BufferBytes: bufferBytes})
	if err != nil {
		return err
	}
	t.producer = producer
	handles, err := producer.Fence(ctx, []string{t.name})
	if err != nil {
		return err
	}
	t.to = handles[t.name][0]
	return t.client.ReadFrom(ctx, kafka.TopicPartition{Topic: t.name}, t.end, func(*kafka.Record) error { return ErrTakenOver })
}

// Close drops the ownership.
func (t *Topic) Close() error {
	if t.producer == nil {
		return nil
	}
	err := t.producer.Close()
	t.producer, t.to = nil, nil
	return err
}
