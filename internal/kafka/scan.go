package kafka

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// fetchWait is how long a broker may hold a request that finds nothing.
const fetchWait = 500 * time.Millisecond

// scanBytes is asked for at a time when a partition is read through.
const scanBytes = 1 << 20

// unpackLimit bounds what one compressed batch may hold: two of the largest that we write.
func (c *Client) unpackLimit() int { return 2 * c.cfg.MaxMessageBytes }

// answerLimit bounds an answer to a fetch of n bytes: a first batch may exceed what was asked, up to
// its topic's max.message.bytes, which another's may be larger than ours.
func (c *Client) answerLimit(n int) int { return n + 4*c.cfg.MaxMessageBytes + 1<<20 }

// scan gives f the committed data records of a partition from offset from on, up to but not including
// to, where something stands there.
func (c *Client) scan(ctx context.Context, tp TopicPartition, from, to int64, f func(*Record) error) error {
	cur := cursor{tp: tp, next: from, limit: c.unpackLimit()}
	for cur.next < to {
		before := cur.next
		var end int64
		err := c.retry(ctx, func(ctx context.Context) error {
			var err error
			end, err = c.fetchOne(ctx, tp, cur.next, readCommitted, &cur)
			return err
		})
		if err != nil {
			return fmt.Errorf("cannot read topic %s partition %d at offset %d: %w", tp.Topic, tp.Partition, cur.next, err)
		}
		if err := drain(&cur, to, f); err != nil {
			return err
		}
		if cur.next == before && end >= to {
			return nil // a hole up to the end: nothing is left of what stood there
		}
	}
	return nil
}

func drain(cur *cursor, to int64, f func(*Record) error) error {
	for {
		r, err := cur.read()
		if err != nil || r == nil || r.Offset >= to {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
	}
}

// fetchOne loads one piece of a partition into cur and gives the partition's high watermark.
func (c *Client) fetchOne(ctx context.Context, tp TopicPartition, from int64, iso isolation, cur *cursor) (int64, error) {
	groups, err := c.byLeader(ctx, []TopicPartition{tp})
	if err != nil {
		return 0, err
	}
	var end int64
	for leader := range groups {
		addr, _ := c.address(leader)
		spec := &fetchSpec{iso: iso, maxWait: fetchWait, minBytes: 1, maxBytes: scanBytes, parts: []fetchPart{{tp, from, scanBytes}}}
		err = c.fetchFrom(ctx, addr, spec, func(p *fetched) error {
			if p.code != 0 {
				return p.code
			}
			end = p.highWatermark
			whole, _, err := wholeBatches(p.data, from)
			if err == nil && len(whole) == 0 && len(p.data) > 0 {
				err = fmt.Errorf("first batch of %d bytes or more: %w", len(p.data), errCut)
			}
			cur.load(bytes.Clone(whole), append([]aborted(nil), p.aborts...))
			return err
		})
	}
	return end, err
}

// fetchFrom fetches on a connection of the pool.
func (c *Client) fetchFrom(ctx context.Context, addr string, spec *fetchSpec, f func(*fetched) error) error {
	conn, err := c.borrow(ctx, addr)
	if err != nil {
		return err
	}
	if err := conn.fetch(ctx, spec, c.answerLimit(spec.maxBytes), f); err != nil {
		conn.Close()
		return err
	}
	c.giveBack(conn)
	return nil
}

// ReadAll calls f for every record of every partition up to the ends that stand at the call. The
// record is valid until f returns.
func (c *Client) ReadAll(ctx context.Context, topic string, f func(partition int32, r *Record) error) error {
	first, end, err := c.Offsets(ctx, topic)
	if err != nil {
		return err
	}
	for i := range end {
		p := int32(i)
		err := c.scan(ctx, TopicPartition{topic, p}, first[i], end[i], func(r *Record) error { return f(p, r) })
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadFrom calls f for the records of a partition from an offset on, up to the end that stands at the
// call. The record is valid until f returns. Records that were deleted meanwhile are an error.
func (c *Client) ReadFrom(ctx context.Context, tp TopicPartition, from int64, f func(*Record) error) error {
	first, end, err := c.Offsets(ctx, tp.Topic)
	if err != nil {
		return err
	}
	if int(tp.Partition) >= len(end) || first[tp.Partition] > from {
		return fmt.Errorf("cannot read topic %s partition %d from offset %d: what stood there was deleted", tp.Topic, tp.Partition, from)
	}
	return c.scan(ctx, tp, from, end[tp.Partition], f)
}
