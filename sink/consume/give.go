package consume

import (
	"context"
	"time"

	"github.com/sluicecdc/sluice/sink"
)

// givable tells whether the batch goes out now that nothing more is at hand.
func (c *consumer) givable(due context.Context) bool {
	switch {
	case c.whole > 0:
		return due == nil || due.Err() != nil
	case c.now.batch.Groups > 0:
		return c.idleOver()
	default:
		return false
	}
}

// give closes the batch. A full one without any whole group is a piece of a large group; otherwise it
// ends with the last whole group.
func (c *consumer) give(full bool) (*sink.Batch, error) {
	b := &c.now.batch
	if full && c.whole == 0 && len(b.Changes) > 0 {
		b.Open, b.Checkpoint = true, sink.Checkpoint{}
		c.cut = len(b.Changes)
		return b, nil
	}
	if c.whole == 0 {
		if err := c.tidy(); err != nil {
			return nil, err
		}
	}
	c.cut = c.whole
	out := *b
	out.Changes = b.Changes[:c.whole]
	out.Checkpoint = c.checkpoint()
	c.given = time.Now()
	return &out, nil
}

// tidy brings the offsets of partitions at rest up to date.
func (c *consumer) tidy() error {
	for _, cur := range c.all {
		if c.group.open && cur.need > 0 || cur.next != cur.whole {
			continue
		}
		if err := cur.tidy(); err != nil {
			return err
		}
	}
	return nil
}

// checkpoint is the state after the last whole group. Its maps are new, so that a receiver may keep them.
func (c *consumer) checkpoint() sink.Checkpoint {
	out := c.at
	out.Offsets = map[string]map[int32]int64{}
	add := func(p *partition) {
		if p.whole < 0 {
			return
		}
		if out.Offsets[p.Topic] == nil {
			out.Offsets[p.Topic] = map[int32]int64{}
		}
		out.Offsets[p.Topic][p.Partition] = p.whole
	}
	add(&c.ends)
	for _, cur := range c.all {
		add(&cur.partition)
	}
	return out
}

// wait blocks until the record that fill needs is there, or the time to give what there is has come.
func (c *consumer) wait(ctx, due context.Context) error {
	limit, cancel := c.limit(ctx, due)
	defer cancel()
	err := c.starved.wait(limit)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !ended(err):
		return err
	}
	if c.group.open && c.now.batch.Groups == 0 && !c.group.warned {
		c.group.warned = true
		c.log.Warn("waiting for records that their group's END announced: they arrive when capture goes on",
			"topic", c.starved.Topic, "partition", c.starved.Partition, "offset", c.starved.next, "lsn", c.group.end.Commit)
	}
	return nil
}

func (c *consumer) limit(ctx, due context.Context) (context.Context, context.CancelFunc) {
	switch {
	case c.whole > 0:
		out, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(due, cancel)
		return out, func() { stop(); cancel() }
	case c.now.batch.Groups > 0:
		return context.WithDeadline(ctx, c.given.Add(idleInterval))
	case c.group.open && !c.group.warned:
		return context.WithTimeout(ctx, patience)
	default:
		return ctx, func() {}
	}
}
