package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// endWriter writes the transaction topic.
type endWriter struct {
	partition      *kafka.Partition
	tail           change.LSN     // the last END of an earlier run
	tailEnd        change.LSN     // where that group's commit record ended
	recent         []change.Group // the last transactions that it ended
	keyID, valueID int
	record         avro.End
	key, value     []byte
}

func (p *Publisher) openEnds(ctx context.Context) error {
	topic := schemas.TransactionTopic(p.o.Source)
	if _, err := p.client.EnsureTopics(ctx, []kafka.Topic{{Name: topic, Partitions: 1, Outlives: true}}); err != nil {
		return fmt.Errorf("cannot prepare topic %s: %w", topic, err)
	}
	handles, err := p.producer.Fence(ctx, []string{topic})
	if err != nil {
		return fmt.Errorf("cannot fence topic %s: %w", topic, err)
	}
	if len(handles[topic]) != 1 {
		return fmt.Errorf("topic %s has %d partitions and must have one, since its order is the order of commits: create it again", topic, len(handles[topic]))
	}
	p.ends.partition = handles[topic][0]
	// The tail first: in a registry that has lost its schemas nothing must be registered.
	if err := p.readEndTail(ctx, topic); err != nil {
		return err
	}
	p.ends.keyID, p.ends.valueID, err = p.register(ctx, topic, schemas.ForTransactions(p.o.Source))
	return err
}

// recentEnds is how many transactions may be in Kafka and wait, at the source, for a synchronous standby: no
// more than it has connections.
const recentEnds = 4096

func (p *Publisher) readEndTail(ctx context.Context, topic string) error {
	tails, err := p.client.Tail(ctx, topic, recentEnds)
	if err != nil {
		return fmt.Errorf("cannot read the end of topic %s: %w", topic, err)
	}
	for _, records := range tails {
		for i := range records {
			end, err := decodeEnd(&records[i])
			if last := i == len(records)-1; last {
				err = errors.Join(err, p.knowsSchema(ctx, &records[i]))
				if err != nil {
					return fmt.Errorf("cannot read offset %d of topic %s: %w", records[i].Offset, topic, err)
				}
				p.ends.tail, p.ends.tailEnd = end.Commit, end.EndLSN
			}
			if g, ok := avro.ParseGroupID(end.ID); ok && err == nil {
				g.Time = change.Micros(end.TimeMillis * 1000)
				p.ends.recent = append(p.ends.recent, g)
			}
		}
	}
	return nil
}

func decodeEnd(r *kafka.Record) (end avro.End, err error) {
	_, body, err := avro.SplitFrame(r.Value)
	if err == nil {
		err = avro.DecodeEnd(body, &end)
	}
	return end, err
}

// knowsSchema asks whether the registry still has the schema of a record.
func (p *Publisher) knowsSchema(ctx context.Context, r *kafka.Record) error {
	id, _, err := avro.SplitFrame(r.Value)
	if err == nil {
		_, err = p.registry.Schema(ctx, id)
	}
	return err
}

// end closes the open group. A transaction's END may travel beside its records, since the slot sends again
// what a crash cuts short; that of copied rows waits for theirs.
func (p *Publisher) end(ctx context.Context, g *change.Group) error {
	delayed := false
	if g.Commit > p.ends.tail {
		var err error
		if err = p.sweep(ctx, g); err != nil {
			return err
		}
		if delayed, err = p.writeEnd(ctx, g); err != nil {
			return fmt.Errorf("cannot write the END of the group at %s: %w", g.Commit, err)
		}
		p.metrics.Groups.Inc()
	}
	for _, s := range p.group.touched {
		s.reset()
	}
	crash.At("ended")
	p.group.open = false
	p.progress.finish(g.End, delayed)
	if err := p.goOn(ctx); err != nil {
		return fmt.Errorf("cannot write the ENDs before %s: %w", g.Commit, err)
	}
	p.producer.Commit()
	return p.look(ctx, g.Commit)
}

// sweep notes that the group ends the repair of a table. One that is held, and whose schema nobody knows, is not
// swept: rows that were deleted in the gap stay at destinations.
func (p *Publisher) sweep(ctx context.Context, g *change.Group) error {
	if g.Swept == nil {
		return nil
	}
	r, err := p.route(ctx, g.Swept, change.Position{Commit: g.Commit})
	if err != nil {
		return err
	}
	if r.encoder == nil {
		p.log.Error("a table is held while it is repaired after a gap: rows that were deleted meanwhile stay at destinations; cause another repair when it is released",
			"table", g.Swept.QualifiedName())
		return nil
	}
	if r.stream.total == 0 {
		p.group.touched = append(p.group.touched, r.stream)
	}
	r.stream.swept = r.ids
	return nil
}

// writeEnd appends the END, or has it wait.
func (p *Publisher) writeEnd(ctx context.Context, g *change.Group) (delayed bool, err error) {
	e := &p.ends
	e.fill(g, &p.group)
	e.key = avro.AppendEndKey(avro.AppendFrame(e.key[:0], e.keyID), e.record.ID)
	e.value = avro.AppendEnd(avro.AppendFrame(e.value[:0], e.valueID), &e.record)
	r := kafka.Record{TimeMillis: int64(p.group.now) / 1000, Key: e.key, Value: e.value}
	if rows := g.Kind == change.Snapshot; rows || len(p.later.ends) > 0 {
		p.later.ends = append(p.later.ends, delay(p.progress.tag(), rows, &r))
		return true, nil
	}
	return false, p.producer.Append(ctx, e.partition, p.progress.tag(), r)
}

// fill makes the END record of g, reusing the slices of the one before.
func (e *endWriter) fill(g *change.Group, state *groupState) {
	r := &e.record
	r.Status, r.ID, r.Commit = "END", avro.GroupID(g), g.Commit
	if g.Heartbeat && state.total == 0 {
		r.Status = "HEARTBEAT"
	}
	if g.Gap != nil {
		r.Status = "GAP"
	}
	r.Copying, r.Sinks, r.Gap, r.Repair = g.Copying, g.Sinks, g.Gap, g.Repair
	r.EndLSN = g.End
	r.EventCount, r.TimeMillis, r.Snapshot = state.total, int64(g.Time)/1000, g.Kind == change.Snapshot
	collections := r.Collections[:cap(r.Collections)]
	for len(collections) < len(state.touched) {
		collections = append(collections, avro.Collection{})
	}
	r.Collections = collections[:len(state.touched)]
	for i, s := range state.touched {
		s.describe(&r.Collections[i])
	}
}

// describe counts the open group's changes of the stream.
func (s *stream) describe(c *avro.Collection) {
	c.Name, c.EventCount, c.Held, c.Swept, c.Partitions = s.collection, s.total, s.held, s.swept, c.Partitions[:0]
	for i, n := range s.counts {
		if n > 0 {
			c.Partitions = append(c.Partitions, avro.PartitionCount{Partition: int32(i), EventCount: n})
		}
	}
}
