package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
)

// The words for ends of a partition in ListOffsets.
const (
	FirstOffset int64 = -2 // of the oldest record that is kept
	EndOffset   int64 = -1 // of the next record to come
)

// isolation says which end of a partition is meant, and which records are read.
type isolation int8

const (
	readUncommitted isolation = 0 // up to the high watermark
	readCommitted   isolation = 1 // up to the first open transaction
)

// Offsets gives for each partition of topic the first offset that is kept and the end that readers of
// committed records can reach.
func (c *Client) Offsets(ctx context.Context, topic string) (first, end []int64, err error) {
	k, err := c.lookUp(ctx, []string{topic})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot ask for topic %s: %w", topic, err)
	}
	all := partitionsOf(topic, len(k.topics[topic].leaders))
	firsts, err := c.listOffsets(ctx, all, FirstOffset, readCommitted)
	if err != nil {
		return nil, nil, err
	}
	ends, err := c.listOffsets(ctx, all, EndOffset, readCommitted)
	if err != nil {
		return nil, nil, err
	}
	for _, tp := range all {
		first, end = append(first, firsts[tp]), append(end, ends[tp])
	}
	return first, end, nil
}

func partitionsOf(topic string, n int) []TopicPartition {
	all := make([]TopicPartition, n)
	for i := range all {
		all[i] = TopicPartition{topic, int32(i)}
	}
	return all
}

// listOffsets asks the leader of each partition where it begins or ends.
func (c *Client) listOffsets(ctx context.Context, tps []TopicPartition, which int64, iso isolation) (map[TopicPartition]int64, error) {
	out := make(map[TopicPartition]int64, len(tps))
	err := c.retry(ctx, func(ctx context.Context) error {
		byLeader, err := c.byLeader(ctx, tps)
		if err != nil {
			return err
		}
		for leader, group := range byLeader {
			if err := c.listOffsetsAt(ctx, leader, group, which, iso, out); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot ask for offsets: %w", err)
	}
	return out, nil
}

func (c *Client) listOffsetsAt(ctx context.Context, leader int32, tps []TopicPartition, which int64, iso isolation, out map[TopicPartition]int64) error {
	req := &listoffsets.Request{ReplicaID: -1, IsolationLevel: int8(iso)}
	for _, tp := range tps {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
			req.Topics = append(req.Topics, listoffsets.RequestTopic{Topic: tp.Topic})
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, listoffsets.RequestPartition{Partition: tp.Partition, CurrentLeaderEpoch: -1, Timestamp: which})
	}
	msg, err := c.askBroker(ctx, leader, req)
	if err != nil {
		return err
	}
	for _, t := range msg.(*listoffsets.Response).Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return fmt.Errorf("topic %s partition %d: %w", t.Topic, p.Partition, Code(p.ErrorCode))
			}
			out[TopicPartition{t.Topic, p.Partition}] = p.Offset
		}
	}
	return nil
}

// byLeader groups partitions by the broker that leads them now. Order within a group is kept.
func (c *Client) byLeader(ctx context.Context, tps []TopicPartition) (map[int32][]TopicPartition, error) {
	k, err := c.metadata(ctx, topicsOf(tps))
	if err != nil {
		return nil, err
	}
	groups := map[int32][]TopicPartition{}
	for _, tp := range tps {
		leader, err := k.leader(tp)
		if err != nil {
			return nil, err
		}
		groups[leader] = append(groups[leader], tp)
	}
	return groups, nil
}

func topicsOf(tps []TopicPartition) []string {
	seen, names := map[string]bool{}, []string{}
	for _, tp := range tps {
		if !seen[tp.Topic] {
			seen[tp.Topic] = true
			names = append(names, tp.Topic)
		}
	}
	return names
}

// CommitOffsets stores offsets for a group without members, for lag tools. The offsets are of the next
// record to read.
func (c *Client) CommitOffsets(ctx context.Context, group string, offsets map[string]map[int32]int64) error {
	req := &offsetcommit.Request{GroupID: group, GenerationID: -1}
	for topic, partitions := range offsets {
		t := offsetcommit.RequestTopic{Name: topic}
		for p, offset := range partitions {
			t.Partitions = append(t.Partitions, offsetcommit.RequestPartition{PartitionIndex: p, CommittedOffset: offset, CommittedLeaderEpoch: -1})
		}
		req.Topics = append(req.Topics, t)
	}
	err := c.retry(ctx, func(ctx context.Context) error { return c.commitOnce(ctx, req) })
	if err != nil {
		return fmt.Errorf("cannot commit offsets of group %s: %w", group, err)
	}
	return nil
}

func (c *Client) commitOnce(ctx context.Context, req *offsetcommit.Request) error {
	addr, err := c.coordinator(ctx, groupCoordinator, req.GroupID)
	if err != nil {
		return err
	}
	msg, err := c.ask(ctx, addr, req)
	if err != nil {
		return err
	}
	for _, t := range msg.(*offsetcommit.Response).Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return fmt.Errorf("topic %s partition %d: %w", t.Name, p.PartitionIndex, Code(p.ErrorCode))
			}
		}
	}
	return nil
}
