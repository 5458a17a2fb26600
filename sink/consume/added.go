package consume

import (
	"context"
	"fmt"

	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/sink"
)

// tailer tells which partitions hold records (kafka.Client).
type tailer interface {
	Tail(ctx context.Context, topic string, n int) ([][]kafka.Record, error)
}

// refuseAdded finds tables that joined the sink after its checkpoint, and whose topics hold records
// from before it. Those would be skipped as applied, and the destination would lack their rows
// without anyone knowing.
func (c *consumer) refuseAdded(ctx context.Context, k tailer, from sink.Checkpoint) error {
	if len(from.Offsets) == 0 {
		return nil
	}
	for _, t := range c.tables {
		if len(t.cursors) == 0 {
			continue
		}
		topic := t.cursors[0].Topic
		if _, known := from.Offsets[topic]; known {
			continue
		}
		tails, err := k.Tail(ctx, topic, 1)
		if err != nil {
			return kafkaError(fmt.Errorf("cannot look into topic %s of a new table: %w", topic, err))
		}
		for i, cur := range t.cursors {
			if i >= len(tails) || len(tails[i]) == 0 {
				continue
			}
			if err := c.refuseOlder(ctx, cur, from); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuseOlder looks at the first record that has a position.
func (c *consumer) refuseOlder(ctx context.Context, cur *cursor, from sink.Checkpoint) error {
	if err := cur.wait(ctx); err != nil {
		return err
	}
	if isTombstone(cur.pending) {
		return nil // what its delete stood for was removed from the topic long ago
	}
	var scratch buffer
	if err := c.codec.change(ctx, cur.pending, &scratch, &c.rec); err != nil {
		return cur.badRecord(cur.pending, err)
	}
	if commit := c.rec.Position.Commit; commit <= from.Commit {
		return fmt.Errorf("table %s is new to this sink, which stands at commit %s, and its topic %s holds earlier changes (from commit %s): they would be missing at the destination; take the table out of the sink's tables, give it to a sink of its own, or remove this sink's checkpoint at the destination, so that it applies all its topics from their beginning",
			cur.table.name, from.Commit, cur.Topic, commit)
	}
	return nil
}
