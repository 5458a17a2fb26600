package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Place says where a source's topics are.
type Place struct {
	Brokers  []string
	Registry string // URL
	Source   string
	// Committed reads as programs in read_committed do.
	Committed bool
}

// Read reads all topics of the source up to the ends that stand at the call.
func Read(ctx context.Context, p Place) (*Log, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Brokers...), kgo.KeepControlRecords(), kgo.FetchIsolationLevel(p.isolation()))
	if err != nil {
		return nil, fmt.Errorf("cannot make a Kafka client: %w", err)
	}
	defer client.Close()
	ends, err := p.ends(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("cannot list the topics of %s: %w", p.Source, err)
	}
	d, err := newDecoder(p.Registry)
	if err != nil {
		return nil, err
	}
	l := &Log{}
	err = consume(ctx, client, ends, func(r *kgo.Record) error { return p.add(ctx, l, d, r) })
	if err != nil {
		return nil, fmt.Errorf("cannot read the topics of %s: %w", p.Source, err)
	}
	slices.SortFunc(l.Records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return l, nil
}

func (p Place) isolation() kgo.IsolationLevel {
	if p.Committed {
		return kgo.ReadCommitted()
	}
	return kgo.ReadUncommitted()
}

func (p Place) add(ctx context.Context, l *Log, d *decoder, r *kgo.Record) error {
	if r.Topic == p.held() {
		return l.release(r)
	}
	if r.Topic == p.Source+".transaction" {
		e, err := d.end(ctx, r)
		l.Ends = append(l.Ends, e)
		return err
	}
	record, err := d.record(ctx, r)
	l.Records = append(l.Records, record)
	return err
}

// held names the topic in which changes wait; its partition 1 says what became of them.
func (p Place) held() string { return p.Source + ".sluice.held" }

func (l *Log) release(r *kgo.Record) error {
	var n Release
	if r.Partition == 0 {
		return nil
	}
	if err := json.Unmarshal(r.Value, &n); err != nil {
		return err
	}
	if l.Releases == nil {
		l.Releases = map[[2]string]Release{}
	}
	key := [2]string{n.Group, n.Table}
	if before, again := l.Releases[key]; again && n.Group != "" && !(before.EventCount == n.EventCount && maps.Equal(before.Partitions, n.Partitions)) {
		return fmt.Errorf("group %s of %s is released a second time with other counts: %v, before %v", n.Group, n.Table, n, before)
	}
	l.Releases[key] = n
	return nil
}

// ends gives the end offset of every partition of the source that holds records.
func (p Place) ends(ctx context.Context, client *kgo.Client) (map[string]map[int32]int64, error) {
	all := kmsg.NewPtrMetadataRequest()
	meta, err := all.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	ends := map[string]map[int32]int64{}
	for _, t := range meta.Topics {
		if t.Topic == nil || !p.mine(*t.Topic) {
			continue
		}
		ends[*t.Topic] = map[int32]int64{}
		for _, part := range t.Partitions {
			end, err := p.endOffset(ctx, client, *t.Topic, part.Partition)
			if err != nil {
				return nil, fmt.Errorf("%s[%d]: %w", *t.Topic, part.Partition, err)
			}
			if end > 0 {
				ends[*t.Topic][part.Partition] = end
			}
		}
	}
	return ends, nil
}

// mine tells topics of records from the source's own state.
func (p Place) mine(topic string) bool {
	return topic == p.held() || strings.HasPrefix(topic, p.Source+".") && !strings.HasPrefix(topic, p.Source+".sluice.")
}

func (p Place) endOffset(ctx context.Context, client *kgo.Client, topic string, partition int32) (int64, error) {
	one := kmsg.NewListOffsetsRequestTopicPartition()
	one.Partition, one.Timestamp = partition, -1
	req := kmsg.NewPtrListOffsetsRequest()
	if p.Committed {
		req.IsolationLevel = 1
	}
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{one}}}
	res, err := req.RequestWith(ctx, client)
	if err != nil {
		return 0, err
	}
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 {
		return 0, errors.New("the broker's answer names another partition")
	}
	answer := res.Topics[0].Partitions[0]
	return answer.Offset, kerr.ErrorForCode(answer.ErrorCode)
}

// consume calls f for each data record below the ends. Control records are kept by the client so that
// an end which is one is seen to be reached.
func consume(ctx context.Context, client *kgo.Client, ends map[string]map[int32]int64, f func(*kgo.Record) error) error {
	from, left := map[string]map[int32]kgo.Offset{}, 0
	for topic, partitions := range ends {
		from[topic] = map[int32]kgo.Offset{}
		for partition := range partitions {
			from[topic][partition] = kgo.NewOffset().AtStart()
			left++
		}
	}
	client.AddConsumePartitions(from)
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			end := ends[r.Topic][r.Partition]
			if r.Offset == end-1 {
				left--
			}
			if r.Offset >= end || r.Attrs.IsControl() {
				continue
			}
			if err := f(r); err != nil {
				return fmt.Errorf("%s[%d]@%d: %w", r.Topic, r.Partition, r.Offset, err)
			}
		}
	}
	return nil
}
