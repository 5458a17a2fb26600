package consume

import (
	"context"

	"github.com/sluicecdc/sluice/internal/kafka"
)

// fromStart asks a reader for a partition's first record.
const fromStart = -2

// Feed is one partition's records in order (kafka.Feed).
type Feed interface {
	// Next blocks until the partition's next record, which is valid until the call after it. When ctx
	// ends first, no record is lost.
	Next(ctx context.Context) (*kafka.Record, error)
	// Poll is Next without waiting: nil when nothing is at hand.
	Poll() (*kafka.Record, error)
	// Offset is that of the record that the next call gives, or of the end; negative while unknown.
	Offset() int64
}

// partition is a feed with one record of look-ahead.
type partition struct {
	kafka.TopicPartition
	feed    Feed
	pending *kafka.Record // at hand, not yet consumed
	// next is the offset behind the last record consumed, whole is next as it stood at the end of the
	// last whole group. Both are negative while nothing was consumed and no checkpoint told.
	next, whole int64
}

// peek gives the next record without consuming it; nil when none is at hand.
func (p *partition) peek() (*kafka.Record, error) {
	if p.pending == nil {
		r, err := p.feed.Poll()
		if err != nil {
			return nil, p.fault(err)
		}
		p.pending = r
	}
	return p.pending, nil
}

// wait blocks until peek gives a record.
func (p *partition) wait(ctx context.Context) error {
	if p.pending != nil {
		return nil
	}
	r, err := p.feed.Next(ctx)
	if err != nil {
		return p.fault(err)
	}
	p.pending = r
	return nil
}

// consume passes the record that peek gave.
func (p *partition) consume() {
	p.next = p.pending.Offset + 1
	p.pending = nil
}

// tidy passes what stands between the last whole group and the next record: control records, which
// a feed does not show, and the tombstone of a last delete. Otherwise an idle partition would look
// unread, and retention could remove the record that its checkpoint names.
func (p *partition) tidy() error {
	for {
		r, err := p.peek()
		if err != nil {
			return err
		}
		if r == nil {
			p.next = max(p.next, p.feed.Offset())
			break
		}
		if !isTombstone(r) {
			p.next = max(p.next, r.Offset)
			break
		}
		p.consume()
	}
	p.whole = p.next
	return nil
}
