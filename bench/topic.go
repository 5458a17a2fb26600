package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// readTopic reads the run's topic up to the row that was written last, with a client of another make. It notes into
// appended when the broker has appended each record, or, where that is nil, when it was read.
func (o *observation) readTopic(ctx context.Context, appended map[int64]int64) error {
	ctx, cancel := context.WithTimeout(ctx, warmTime+openTime+idleTime+settleTime)
	defer cancel()
	topic := o.name + ".public.orders"
	if err := o.awaitTopic(ctx, topic); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(o.kafka.Addrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	want := o.count + (writers-1)*o.idle
	for n := int64(0); n < want; {
		fetches := client.PollFetches(ctx)
		now := time.Now().UnixMicro()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%d of %d rows are in topic %s: %w", n, want, topic, err)
		}
		for r := range fetches.RecordsAll() {
			key, err := orderKey(r.Key)
			if err != nil {
				return err
			}
			n++
			if appended == nil {
				o.seen[toReader][key] = now
			} else { // the broker's clock shows milliseconds: the append was before the end of this one
				appended[key] = r.Timestamp.UnixMicro() + 1000
			}
		}
	}
	return nil
}

func (o *observation) awaitTopic(ctx context.Context, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(o.kafka.Addrs()...))
	if err != nil {
		return err
	}
	defer client.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		r := kmsg.NewPtrMetadataRequest()
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &topic
		r.Topics = append(r.Topics, t)
		answer, err := r.RequestWith(ctx, client)
		if err == nil && len(answer.Topics) == 1 && answer.Topics[0].ErrorCode == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// orderKey reads an Avro key of one long, behind the five bytes that name its schema, or bare where a header does (as
// the converter of Debezium's registry writes it).
func orderKey(key []byte) (int64, error) {
	long := key
	if len(key) > 5 && key[0] == 0 {
		long = key[5:]
	}
	id, n := binary.Varint(long)
	if n <= 0 || n != len(long) {
		return 0, fmt.Errorf("a key that is not an order's: %x", key)
	}
	return id, nil
}
