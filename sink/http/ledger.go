package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/internal/retry"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/sink"
)

// ledger keeps the state of a sink in a topic of its own, and its lease. Only the owner can write: it has the newest
// epoch of the transactional id, and brokers refuse an older one. A second process waits until the owner's beat has
// stood still for Lease.Take by its own clock, and then takes the id over. An owner whose beats Kafka has not taken
// for Lease.Hold makes no calls any more: then another may have begun.
type ledger struct {
	client *kafka.Client
	topic  string
	id     string // transactional
	self   string // this process
	lease  Lease
	log    *slog.Logger

	// What a standby has seen of the owner, and since when.
	seen      state
	seenSince time.Time

	mu       sync.Mutex // one write at a time; guards what follows
	state    state
	producer *kafka.Producer
	to       *kafka.Partition
	tag      uint64
	wrote    time.Time
	hold     *time.Timer // ends alive

	alive  context.Context // ends, with the cause, when calls must not be made any more
	end    context.CancelCauseFunc
	beats  sync.WaitGroup
	silent bool // no beats: for tests, as if the process were frozen
}

// stateKey is the key of the one record.
var stateKey = []byte("state")

var errUnheard = waitError{errors.New("Kafka has not taken a sign of life of this process for too long, so that another may have taken the sink over: no more calls are made until it does")}

func newLedger(o *Options, self string, log *slog.Logger) *ledger {
	lease := o.Lease
	if lease == (Lease{}) {
		lease = DefaultLease
	}
	return &ledger{client: o.Kafka, topic: schemas.SinkTopic(o.Source, o.Name), id: "sluice-sink-" + o.Source + "-" + o.Name, self: self, lease: lease, log: log}
}

// held tells whether this process owns the sink as far as it knows.
func (l *ledger) held() bool { return l.producer != nil && l.alive.Err() == nil }

// claim takes the sink over, or gives sink.ErrLeased while another process shows that it is there.
func (l *ledger) claim(ctx context.Context) error {
	l.abandon()
	if _, err := l.client.EnsureTopics(ctx, []kafka.Topic{{Name: l.topic, Partitions: 1, Compacted: true}}); err != nil {
		return kafkaError(fmt.Errorf("cannot prepare topic %s: %w", l.topic, err))
	}
	found, err := l.read(ctx)
	if err != nil {
		return err
	}
	if l.served(found) {
		return sink.ErrLeased
	}
	return l.seize(ctx)
}

// served tells whether another process owns the sink and beats.
func (l *ledger) served(found state) bool {
	if found.Owner == "" || found.Owner == l.self {
		return false
	}
	if found.Owner != l.seen.Owner || found.Beat != l.seen.Beat {
		l.seen, l.seenSince = found, time.Now()
	}
	return time.Since(l.seenSince) < l.lease.Take
}

// seize raises the epoch, from which on no other process can write, and reads what the last one wrote.
func (l *ledger) seize(ctx context.Context) error {
	producer, err := l.client.NewProducer(ctx, kafka.ProducerConfig{TransactionalID: l.id, BufferBytes: 1 << 20})
	if err != nil {
		return kafkaError(err)
	}
	handles, err := producer.Fence(ctx, []string{l.topic})
	if err == nil {
		l.state, err = l.read(ctx)
	}
	if err != nil {
		_ = producer.Close()
		return l.explain(err)
	}
	l.producer, l.to = producer, handles[l.topic][0]
	l.alive, l.end = context.WithCancelCause(context.Background())
	l.hold = time.AfterFunc(l.lease.Hold, func() { l.end(errUnheard) })
	if err := l.write(ctx, func(s *state) { s.Owner = l.self }); err != nil {
		l.abandon()
		return err
	}
	l.beats.Go(l.beat)
	return nil
}

// read gives the newest state.
func (l *ledger) read(ctx context.Context) (state, error) {
	tails, err := l.client.Tail(ctx, l.topic, 1)
	if err != nil {
		return state{}, kafkaError(fmt.Errorf("cannot read topic %s: %w", l.topic, err))
	}
	if len(tails) == 0 || len(tails[0]) == 0 {
		return state{}, nil
	}
	s, err := parseState(tails[0][0].Value)
	if err != nil {
		return s, fmt.Errorf("topic %s: %w", l.topic, err)
	}
	return s, nil
}

// write changes the state and returns when Kafka has it. After an error nobody knows whether it has, and the ledger is
// of no use until the next claim. The error wraps sink.ErrFenced when another process owns the sink.
func (l *ledger) write(ctx context.Context, change func(*state)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.producer == nil || l.alive.Err() != nil {
		return l.lost()
	}
	next := l.state
	change(&next)
	next.Beat++
	value, err := json.Marshal(&next)
	if err == nil {
		err = l.append(ctx, value)
	}
	if err != nil {
		err = l.explain(err)
		l.end(err)
		return err
	}
	l.state, l.wrote = next, time.Now()
	l.hold.Reset(l.lease.Hold)
	return nil
}

func (l *ledger) append(ctx context.Context, value []byte) error {
	ctx, cancel := merge(ctx, l.alive)
	defer cancel()
	l.tag++
	record := kafka.Record{TimeMillis: time.Now().UnixMilli(), Key: stateKey, Value: value}
	if err := l.producer.Append(ctx, l.to, l.tag, record); err != nil {
		return err
	}
	return l.producer.Wait(ctx)
}

// lost says why nothing can be written.
func (l *ledger) lost() error {
	if l.alive == nil {
		return errNotResumed
	}
	if err := context.Cause(l.alive); err != nil {
		return err
	}
	return errNotResumed
}

func (l *ledger) explain(err error) error {
	switch {
	case kafka.Fenced(err):
		return fmt.Errorf("%w: topic %s has an owner with a newer epoch", sink.ErrFenced, l.topic)
	case errors.As(err, new(waitError)):
		return err
	}
	return kafkaError(fmt.Errorf("cannot write to topic %s: %w", l.topic, err))
}

// beat shows that this process is there while nothing else is written, also while calls take long.
func (l *ledger) beat() {
	for retry.Wait(l.alive, l.lease.Beat) == nil {
		l.mu.Lock()
		quiet := time.Since(l.wrote) >= l.lease.Beat && !l.silent
		l.mu.Unlock()
		if !quiet {
			continue
		}
		if err := l.write(l.alive, func(*state) {}); err != nil && l.alive.Err() == nil {
			l.log.Warn("cannot renew the lease", "topic", l.topic, "error", err)
		}
	}
}

// current gives the state. Only the destination's goroutine changes more of it than the beat.
func (l *ledger) current() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// release gives the sink back, so that a standby need not wait.
func (l *ledger) release() {
	if l.held() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := l.write(ctx, func(s *state) { s.Owner = "" }); err != nil {
			l.log.Warn("cannot give the lease back: another process waits until it ends", "topic", l.topic, "after", l.lease.Take, "error", err)
		}
	}
	l.abandon()
}

// remove takes the checkpoint away, for teardown.
func (l *ledger) remove(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.append(ctx, nil); err != nil {
		return l.explain(err)
	}
	return nil
}

// abandon ends what was claimed, without a word to Kafka.
func (l *ledger) abandon() {
	if l.producer == nil {
		return
	}
	l.end(errNotResumed)
	l.hold.Stop()
	_ = l.producer.Close() // what counts was waited for
	l.beats.Wait()
	l.producer = nil
}

// kafkaError makes an error retryable where Kafka says that it may pass.
func kafkaError(err error) error {
	if kafka.Retriable(err) || errors.Is(err, context.DeadlineExceeded) {
		return waitError{err}
	}
	return err
}

// merge gives a context that ends with the first of two.
func merge(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(a)
	stop := context.AfterFunc(b, func() { cancel(context.Cause(b)) })
	return ctx, func() { stop(); cancel(nil) }
}
