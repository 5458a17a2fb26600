package kafka

import (
	"bytes"
	"context"
	"slices"
)

// tailStep is how far before its end a partition is first read: past the control batch of a fence and
// the tombstone of a delete. A whole batch arrives anyway.
const tailStep = 16

// Tail gives the last data record of every partition of topic (nil where there is none), control
// records and aborted ones skipped. n > 1 gives up to n last records, oldest first.
func (c *Client) Tail(ctx context.Context, topic string, n int) ([][]Record, error) {
	first, end, err := c.Offsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	tails := make([][]Record, len(end))
	for i := range end {
		if tails[i], err = c.tail(ctx, TopicPartition{topic, int32(i)}, first[i], end[i], n); err != nil {
			return nil, err
		}
	}
	return tails, nil
}

// tail reads ever larger pieces of the end until n records are found, since what stands there may be
// control records, aborted ones, or a hole left by compaction.
func (c *Client) tail(ctx context.Context, tp TopicPartition, first, end int64, n int) ([]Record, error) {
	for step := max(tailStep, int64(n)); ; step *= 8 {
		from := max(first, end-step)
		var last []Record
		err := c.scan(ctx, tp, from, end, func(r *Record) error {
			if len(last) == n {
				last = append(last[:0], last[1:]...)
			}
			last = append(last, r.clone())
			return nil
		})
		if err != nil || len(last) == n || from == first {
			return last, err
		}
	}
}

// clone copies a record out of the buffer that it is a view of.
func (r *Record) clone() Record {
	out := *r
	out.Key, out.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	out.Headers = slices.Clone(r.Headers)
	for i := range out.Headers {
		out.Headers[i].Value = bytes.Clone(out.Headers[i].Value)
	}
	return out
}
