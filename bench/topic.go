package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// watchTopic reads the run's topic with a client of another make.
func (o *observation) watchTopic(ctx context.Context) error {
	topic := o.name + ".public.orders"
	if err := o.awaitTopic(ctx, topic); err != nil {
		return unlessOver(ctx, err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(o.kafka.Addrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		now := time.Now().UnixMicro()
		if err := fetches.Err(); err != nil {
			return unlessOver(ctx, err)
		}
		for r := range fetches.RecordsAll() {
			key, err := orderKey(r.Key)
			if err != nil {
				return err
			}
			// The broker's clock shows milliseconds: the append was before the end of this one.
			o.see(toKafka, key, r.Timestamp.UnixMicro()+1000)
			o.see(toReader, key, now)
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

// orderKey reads an Avro key of one long behind the registry's five bytes, or a JSON key.
func orderKey(key []byte) (int64, error) {
	if bytes.HasPrefix(key, []byte("{")) {
		var k struct {
			ID int64 `json:"id"`
		}
		return k.ID, json.Unmarshal(key, &k)
	}
	if len(key) > 5 && key[0] == 0 {
		if id, n := binary.Varint(key[5:]); n == len(key)-5 {
			return id, nil
		}
	}
	return 0, fmt.Errorf("a key that is not an order's: %x", key)
}
