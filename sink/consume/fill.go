package consume

import (
	"context"
	"fmt"
)

// fill takes what is at hand into the batch. It gives true when the batch is to be given as it is, and
// false when the record that starved waits for is not at hand.
func (c *consumer) fill(ctx context.Context) (full bool, err error) {
	for {
		if !c.group.open {
			if ok, err := c.readEnd(ctx); !ok || err != nil {
				return false, err
			}
		}
		if !c.group.open {
			if c.whole == 0 && c.idleOver() {
				return true, nil
			}
			continue
		}
		if c.tooMuch() {
			return true, nil
		}
		if done, err := c.takeGroup(ctx); !done || err != nil {
			return err == nil && c.full(), err
		}
		if c.full() {
			return true, nil
		}
	}
}

// tooMuch tells whether the open group, not begun, should start the next batch: it would have to be cut
// at a place that is not its end, or what is before it is wanted by itself.
func (c *consumer) tooMuch() bool {
	if c.whole == 0 || c.whole < len(c.now.batch.Changes) {
		return false
	}
	return int64(c.whole)+c.group.left > int64(c.cfg.BatchChanges) || c.group.end.Commit == c.cfg.Alone
}

// readEnd opens the next group. One without records for this sink is over at once.
func (c *consumer) readEnd(ctx context.Context) (ok bool, err error) {
	for {
		r, err := c.ends.peek()
		if r == nil || err != nil {
			c.starved = &c.ends
			return false, err
		}
		if err := c.codec.end(r, &c.group.end); err != nil {
			return false, c.ends.badRecord(r, err)
		}
		c.ends.consume()
		if c.group.end.Commit <= c.skip {
			continue
		}
		if err := c.checkOrder(); err != nil {
			return false, err
		}
		if err := c.beginGroup(ctx); err != nil {
			return false, err
		}
		if c.group.left == 0 && len(c.group.waits) == 0 {
			return true, c.finishGroup(ctx)
		}
		return true, nil
	}
}

func (c *consumer) checkOrder() error {
	if c.group.end.Commit >= c.at.Commit {
		return nil
	}
	return fmt.Errorf("cannot go on at offset %d of topic %s: the group %s committed at %s, before %s, which the destination holds already: the topic belongs to another history of the source, the destination needs a new initial copy",
		c.ends.next-1, c.ends.Topic, c.group.end.ID, c.group.end.Commit, c.at.Commit)
}

// takeGroup takes records of the open group until it is whole (true), the batch is full, or a record is
// not at hand.
func (c *consumer) takeGroup(ctx context.Context) (done bool, err error) {
	if err := c.claim(ctx); err != nil {
		return false, err
	}
	for c.group.left > 0 {
		first, starved, err := c.group.next(ctx, c.codec, c.now, &c.rec)
		if err != nil {
			return false, err
		}
		if starved != nil {
			c.starved = &starved.partition
			return false, nil
		}
		ch, err := c.group.take(first)
		if err != nil {
			return false, err
		}
		if !c.group.others {
			c.now.batch.Changes = append(c.now.batch.Changes, ch)
		}
		if c.full() && c.group.left > 0 {
			return false, nil
		}
	}
	return true, c.finishGroup(ctx)
}

// finishGroup makes the open group part of what may be given.
func (c *consumer) finishGroup(ctx context.Context) error {
	if err := c.group.finish(c.tables); err != nil {
		return err
	}
	if err := c.sweep(ctx, true); err != nil {
		return err
	}
	g, b := &c.group, &c.now.batch
	if len(g.cursors) > 0 && !g.end.Snapshot {
		b.Commits = append(b.Commits, g.time)
	}
	b.Groups++
	c.whole = len(b.Changes)
	c.ends.whole = c.ends.next
	c.at.Commit, c.at.Time, c.at.Complete = g.end.Commit, g.time, !g.copying
	return nil
}
