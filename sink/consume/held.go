package consume

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/sink"
)

const (
	// noticeWait is how long the held topic is listened to for a notice before the table counts as held.
	noticeWait = time.Second
	// noticeBuffer is for records of some hundred bytes, read one after the other.
	noticeBuffer = 1 << 20
)

// notices are those of one table in the held topic. They come in commit order, as the groups do that ask
// for them; what a crash of capture repeats is passed over.
type notices struct {
	partition
	close  func() error
	reason string // why the table is held, as last told
}

// openNotices reads the held topic by itself: only a table that is or was held needs it.
func openNotices(ctx context.Context, source string, k *kafka.Client) (Feed, func() error, error) {
	tp := kafka.TopicPartition{Topic: schemas.HeldTopic(source), Partition: schemas.HeldNotices}
	reader, err := k.NewReader(ctx, kafka.ReaderConfig{Offsets: map[kafka.TopicPartition]int64{tp: fromStart}, BufferBytes: noticeBuffer})
	if err != nil {
		return nil, nil, kafkaError(fmt.Errorf("cannot read topic %s, in which the END of a group says that changes of it wait: %w", tp.Topic, err))
	}
	return reader.Feed(tp), reader.Close, nil
}

// claim adds to the open group the records of changes that waited when its END was written. While they
// wait, so does the sink.
func (c *consumer) claim(ctx context.Context) error {
	for len(c.group.waits) > 0 {
		t := c.group.waits[0]
		n, err := c.notice(ctx, t)
		if err != nil {
			return err
		}
		for p, count := range n.Partitions {
			if p < 0 || int(p) >= len(t.cursors) || count < 1 {
				return fmt.Errorf("the notice that releases group %s names partition %d of %s with %d records", n.Group, p, t.name, count)
			}
			c.group.need(t.cursors[p], count)
		}
		t.late = n.EventCount
		c.group.waits = c.group.waits[1:]
	}
	return nil
}

// notice finds what became of a table's changes of the open group.
func (c *consumer) notice(ctx context.Context, t *tableState) (*schemas.Notice, error) {
	if t.notices == nil {
		feed, closing, err := c.held(ctx)
		if err != nil {
			return nil, err
		}
		tp := kafka.TopicPartition{Topic: schemas.HeldTopic(c.cfg.Source), Partition: schemas.HeldNotices}
		t.notices = &notices{partition: partition{TopicPartition: tp, feed: feed}, close: closing}
	}
	for {
		n, err := t.notices.next(ctx)
		switch {
		case err != nil && ctx.Err() == nil && ended(err):
			return nil, c.isHeld(t)
		case err != nil:
			return nil, err
		case n.Table != t.name:
		case !n.Released():
			t.notices.reason = n.Reason
		case n.Group == c.group.end.ID && n.Commit == c.group.end.Commit:
			return n, nil
		}
	}
}

func (l *notices) next(ctx context.Context) (*schemas.Notice, error) {
	ctx, cancel := context.WithTimeout(ctx, noticeWait)
	defer cancel()
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	r := l.pending
	n, err := schemas.ParseNotice(r.Value)
	if err != nil {
		return nil, l.badRecord(r, err)
	}
	l.consume()
	return &n, nil
}

func (c *consumer) isHeld(t *tableState) error {
	return &sink.HeldError{Table: t.name, Why: sink.HoldCapture, At: c.group.end.Commit, Reason: fmt.Sprintf(
		"capture cannot publish its changes from commit %s on, and keeps them in topic %s: %s. The destination stands before that commit; the sink goes on by itself when capture has published them",
		c.group.end.Commit, t.notices.Topic, t.notices.reason)}
}
