package consume

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// topicCheck is how often the transaction topic is asked for: capture makes it when it starts, and
// nobody waits for less.
const topicCheck = time.Second

// cluster tells of topics (kafka.Client).
type cluster interface {
	// Partitions gives 0 for a topic that does not exist.
	Partitions(ctx context.Context, topic string) (int, error)
}

// findTopics gives the partition count of every topic, 0 for one that does not exist, once the first does.
func findTopics(ctx context.Context, k cluster, topics []string, log *slog.Logger) (map[string]int, error) {
	ticks := time.NewTicker(topicCheck)
	defer ticks.Stop()
	for waiting := false; ; {
		counts, missing, err := countPartitions(ctx, k, topics)
		if err != nil {
			return nil, kafkaError(err)
		}
		if counts[topics[0]] > 0 {
			if len(missing) > 0 {
				log.Info("reading without the topics of tables that have no change yet", "topics", strings.Join(missing, " "))
			}
			return counts, nil
		}
		if !waiting {
			log.Info("waiting for topics that capture has not made yet", "topics", strings.Join(missing, " "))
			waiting = true
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func countPartitions(ctx context.Context, k cluster, topics []string) (counts map[string]int, missing []string, err error) {
	counts = map[string]int{}
	for _, topic := range topics {
		n, err := k.Partitions(ctx, topic)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot find the partitions of topic %s: %w", topic, err)
		}
		if n == 0 {
			missing = append(missing, topic)
		}
		counts[topic] = n
	}
	return counts, missing, nil
}
