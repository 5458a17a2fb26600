package kafka

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// cluster is what one answer to Metadata said.
type cluster struct {
	controller int32
	brokers    int
	topics     map[string]topicState
}

// topicState is one topic: an error, or the leader of each partition (-1 where there is none).
type topicState struct {
	code    Code
	leaders []int32
}

// metadata asks for topics by name, nil for all, an empty list for none.
func (c *Client) metadata(ctx context.Context, topics []string) (*cluster, error) {
	msg, err := c.askAny(ctx, &metadata.Request{TopicNames: topics})
	if err != nil {
		return nil, err
	}
	res := msg.(*metadata.Response)
	brokers := make(map[int32]string, len(res.Brokers))
	for _, b := range res.Brokers {
		brokers[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	c.mu.Lock()
	c.brokers = brokers
	c.mu.Unlock()
	out := &cluster{controller: res.ControllerID, brokers: len(res.Brokers), topics: make(map[string]topicState, len(res.Topics))}
	for _, t := range res.Topics {
		out.topics[t.Name] = stateOf(t)
	}
	return out, nil
}

// lookUp is metadata, asked again while no broker answers.
func (c *Client) lookUp(ctx context.Context, topics []string) (k *cluster, err error) {
	err = c.retry(ctx, func(ctx context.Context) error {
		k, err = c.metadata(ctx, topics)
		return err
	})
	return k, err
}

func stateOf(t metadata.ResponseTopic) topicState {
	s := topicState{code: Code(t.ErrorCode), leaders: make([]int32, len(t.Partitions))}
	for i := range s.leaders {
		s.leaders[i] = -1
	}
	for _, p := range t.Partitions {
		if p.PartitionIndex >= 0 && int(p.PartitionIndex) < len(s.leaders) && Code(p.ErrorCode) != 5 {
			s.leaders[p.PartitionIndex] = p.LeaderID
		}
	}
	return s
}

// leader gives the broker that leads a partition.
func (k *cluster) leader(tp TopicPartition) (int32, error) {
	t, ok := k.topics[tp.Topic]
	if !ok || t.code != 0 {
		return -1, fmt.Errorf("topic %s: %w", tp.Topic, orUnknown(t.code))
	}
	if tp.Partition < 0 || int(tp.Partition) >= len(t.leaders) {
		return -1, fmt.Errorf("topic %s has partitions 0 to %d, not %d", tp.Topic, len(t.leaders)-1, tp.Partition)
	}
	if t.leaders[tp.Partition] < 0 {
		return -1, fmt.Errorf("topic %s partition %d: %w", tp.Topic, tp.Partition, errNoLeader)
	}
	return t.leaders[tp.Partition], nil
}

func orUnknown(c Code) Code {
	if c == 0 {
		return codeUnknownTopicPartition
	}
	return c
}

// Partitions gives the partition count of a topic as it is; 0 when it does not exist.
func (c *Client) Partitions(ctx context.Context, topic string) (int, error) {
	n := 0
	err := c.retry(ctx, func(ctx context.Context) error {
		k, err := c.metadata(ctx, []string{topic})
		if err != nil {
			return err
		}
		t := k.topics[topic]
		if t.code == codeUnknownTopicPartition {
			return nil
		}
		n = len(t.leaders)
		return t.code.err()
	})
	if err != nil {
		return 0, fmt.Errorf("cannot ask for topic %s: %w", topic, err)
	}
	return n, nil
}

// The kinds of coordinator (protocol guide, FindCoordinator).
const (
	groupCoordinator       int8 = 0
	transactionCoordinator int8 = 1
)

// coordinator finds the broker that keeps a group or a transactional id.
func (c *Client) coordinator(ctx context.Context, kind int8, key string) (string, error) {
	msg, err := c.askAny(ctx, &findcoordinator.Request{Key: key, KeyType: kind})
	if err != nil {
		return "", err
	}
	res := msg.(*findcoordinator.Response)
	if res.ErrorCode != 0 {
		return "", Code(res.ErrorCode)
	}
	return net.JoinHostPort(res.Host, strconv.Itoa(int(res.Port))), nil
}
