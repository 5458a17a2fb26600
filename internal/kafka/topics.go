package kafka

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go/protocol/createtopics"
)

// Topic is what EnsureTopics creates.
type Topic struct {
	Name       string
	Partitions int // 0 takes kafka.partitions
	Compacted  bool
	// Outlives keeps records longer than those of other topics: for the transaction topic, whose END
	// records must not vanish before the records that they announce.
	Outlives bool
	// Forever keeps records until somebody deletes them, whatever kafka.retention says.
	Forever bool
}

// outliveBy is added to the retention of a topic that outlives the others. A record is deleted with
// its segment, which may be open for segment.ms (7 days by default) after the record came; the rest
// is for the broker's check interval and clocks.
const outliveBy = 8 * 24 * time.Hour

// EnsureTopics creates what is missing with explicit settings and gives each topic's partition count
// as it is. An existing topic is left as it is: where its settings lose data that is an error, where
// they could refuse a large record it is a warning, each with the command that changes them.
func (c *Client) EnsureTopics(ctx context.Context, topics []Topic) (map[string]int, error) {
	counts, missing, err := c.sortTopics(ctx, topics)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for topics: %w", err)
	}
	if err := c.createTopics(ctx, missing); err != nil {
		return nil, err
	}
	for _, t := range missing {
		if counts[t.Name], err = c.awaitTopic(ctx, t.Name); err != nil {
			return nil, err
		}
	}
	return counts, c.checkTopics(ctx, topics)
}

// sortTopics tells topics that exist, with their partition counts, from those that do not.
func (c *Client) sortTopics(ctx context.Context, topics []Topic) (counts map[string]int, missing []Topic, err error) {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	err = c.retry(ctx, func(ctx context.Context) error {
		k, err := c.metadata(ctx, names)
		if err != nil {
			return err
		}
		counts, missing = map[string]int{}, nil
		for _, t := range topics {
			switch s := k.topics[t.Name]; s.code {
			case codeUnknownTopicPartition:
				missing = append(missing, t)
			case 0:
				counts[t.Name] = len(s.leaders)
			default:
				return fmt.Errorf("topic %s: %w", t.Name, s.code)
			}
		}
		return nil
	})
	return counts, missing, err
}

func (c *Client) createTopics(ctx context.Context, topics []Topic) error {
	if len(topics) == 0 {
		return nil
	}
	return c.retry(ctx, func(ctx context.Context) error {
		k, err := c.metadata(ctx, []string{})
		if err != nil {
			return err
		}
		req := &createtopics.Request{TimeoutMs: int32(requestTimeout / time.Millisecond)}
		for _, t := range topics {
			req.Topics = append(req.Topics, c.creation(t, k.brokers))
		}
		msg, err := c.askBroker(ctx, k.controller, req)
		if err != nil {
			return err
		}
		return createResult(msg.(*createtopics.Response))
	})
}

// createResult takes "exists" for success: another process was as fast, or a retry found its own work.
func createResult(res *createtopics.Response) error {
	for _, t := range res.Topics {
		if code := Code(t.ErrorCode); code != 0 && code != codeTopicExists {
			return fmt.Errorf("cannot create topic %s: %s: %w", t.Name, t.ErrorMessage, code)
		}
	}
	return nil
}

// creation spells out every setting that delivery depends on, whatever the broker's defaults are.
func (c *Client) creation(t Topic, brokers int) createtopics.RequestTopic {
	partitions, replication := t.Partitions, c.cfg.Replication
	if partitions == 0 {
		partitions = c.cfg.Partitions
	}
	if replication == 0 {
		replication = max(1, min(3, brokers))
	}
	insync := c.cfg.MinInsyncReplicas
	if insync == 0 {
		insync = 1 + min(1, replication/3)
	}
	set := []createtopics.RequestConfig{
		{Name: "cleanup.policy", Value: policy(t)},
		{Name: "max.message.bytes", Value: strconv.Itoa(c.cfg.MaxMessageBytes)},
		{Name: "min.insync.replicas", Value: strconv.Itoa(insync)},
	}
	if !t.Compacted {
		set = append(set, createtopics.RequestConfig{Name: "retention.ms", Value: strconv.FormatInt(c.retentionMillis(t), 10)},
			createtopics.RequestConfig{Name: "retention.bytes", Value: "-1"})
	}
	return createtopics.RequestTopic{Name: t.Name, NumPartitions: int32(partitions), ReplicationFactor: int16(replication), Configs: set}
}

func policy(t Topic) string {
	if t.Compacted {
		return "compact"
	}
	return "delete"
}

func (c *Client) retentionMillis(t Topic) int64 {
	keep := c.cfg.Retention
	if keep == 0 || t.Forever {
		return -1
	}
	if t.Outlives {
		keep += outliveBy
	}
	return keep.Milliseconds()
}

// awaitTopic waits until a new topic is known and each partition has a leader.
func (c *Client) awaitTopic(ctx context.Context, topic string) (int, error) {
	n := 0
	err := c.retry(ctx, func(ctx context.Context) error {
		k, err := c.metadata(ctx, []string{topic})
		if err != nil {
			return err
		}
		n = len(k.topics[topic].leaders)
		for i := range n {
			if _, err := k.leader(TopicPartition{topic, int32(i)}); err != nil {
				return err
			}
		}
		return k.topics[topic].code.err()
	})
	if err != nil {
		return 0, fmt.Errorf("topic %s was created but is not usable: %w", topic, err)
	}
	return n, nil
}
