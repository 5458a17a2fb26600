package publish

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
)

// journal is the state topic: a compacted map that outlives the process and its machine.
type journal struct {
	partition *kafka.Partition
	mu        sync.Mutex
	entries   map[string][]byte
}

func (p *Publisher) openJournal(ctx context.Context) error {
	topic := schemas.StateTopic(p.o.Source)
	if _, err := p.client.EnsureTopics(ctx, []kafka.Topic{{Name: topic, Partitions: 1, Compacted: true}}); err != nil {
		return fmt.Errorf("cannot prepare topic %s: %w", topic, err)
	}
	handles, err := p.producer.Fence(ctx, []string{topic})
	if err != nil {
		return fmt.Errorf("cannot fence topic %s: %w", topic, err)
	}
	p.journal.partition = handles[topic][0]
	p.journal.entries = map[string][]byte{}
	err = p.client.ReadAll(ctx, topic, func(_ int32, r *kafka.Record) error {
		p.journal.set(string(r.Key), r.Value)
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the state in topic %s: %w", topic, err)
	}
	return nil
}

// Get implements capture.Journal.
func (p *Publisher) Get(key string) ([]byte, bool) {
	p.journal.mu.Lock()
	defer p.journal.mu.Unlock()
	v, ok := p.journal.entries[key]
	return v, ok
}

// Keys implements capture.Journal.
func (p *Publisher) Keys(prefix string) (keys []string) {
	p.journal.mu.Lock()
	defer p.journal.mu.Unlock()
	for key := range p.journal.entries {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Ended implements capture.Journal: the commit LSN of the last group that an earlier run ended, 0 when
// there is none.
func (p *Publisher) Ended() change.LSN { return p.ends.tail }

// EndedAt implements capture.Journal.
func (p *Publisher) EndedAt() change.LSN { return p.ends.tailEnd }

// Reached implements capture.Journal.
func (p *Publisher) Reached() change.LSN { return max(p.reached, p.ends.tail) }

// Recent implements capture.Journal.
func (p *Publisher) Recent() []change.Group { return p.ends.recent }

// Put implements capture.Journal: it returns when the entry, and everything published before it, is
// acknowledged. In the middle of a group that a Kafka transaction wraps it does not wait: the entry commits with the
// group. A nil value removes the entry. It is called by the publishing goroutine.
func (p *Publisher) Put(ctx context.Context, key string, value []byte) error {
	if p.o.Transactions && p.group.open {
		return p.putNow(ctx, key, value)
	}
	if err := p.PutSoon(ctx, key, value); err != nil {
		return err
	}
	if err := p.settleAll(ctx); err != nil {
		return fmt.Errorf("cannot store %q in topic %s: %w", key, schemas.StateTopic(p.o.Source), err)
	}
	return nil
}

func (p *Publisher) putNow(ctx context.Context, key string, value []byte) error {
	r := kafka.Record{TimeMillis: time.Now().UnixMilli(), Key: []byte(key), Value: value}
	if err := p.producer.Append(ctx, p.journal.partition, p.progress.tag(), r); err != nil {
		return fmt.Errorf("cannot store %q in topic %s: %w", key, schemas.StateTopic(p.o.Source), err)
	}
	p.remember(key, value)
	return nil
}

// PutSoon implements capture.Journal: the entry is written once every group that has ended is acknowledged.
// It is called by the publishing goroutine.
func (p *Publisher) PutSoon(ctx context.Context, key string, value []byte) error {
	r := kafka.Record{TimeMillis: time.Now().UnixMilli(), Key: []byte(key), Value: value}
	p.later.notes = append(p.later.notes, delay(p.progress.tag()-1, false, &r))
	if err := p.goOn(ctx); err != nil {
		return fmt.Errorf("cannot store %q in topic %s: %w", key, schemas.StateTopic(p.o.Source), err)
	}
	p.remember(key, value)
	crash.At("ledger written")
	return nil
}

func (p *Publisher) remember(key string, value []byte) {
	p.journal.mu.Lock()
	defer p.journal.mu.Unlock()
	p.journal.set(key, value)
}

// set takes an entry over; without a value it is gone.
func (j *journal) set(key string, value []byte) {
	if value == nil {
		delete(j.entries, key)
		return
	}
	j.entries[key] = bytes.Clone(value)
}
