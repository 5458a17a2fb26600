package consume

import (
	"context"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// cursor walks one partition of a table's topic.
type cursor struct {
	partition
	table *tableState
	// skip is the commit of the checkpoint that the reading began with: a record at or below it, met
	// where the checkpoint knew no offset, is in the destination.
	skip change.LSN
	need int64 // records of the open group not yet taken, head included
	head change.Change
	have bool // head is set
	time change.Micros
}

// tableState is one table of the sink.
type tableState struct {
	name    string // schema.table, as ENDs name it
	cursors []*cursor
	taken   int64      // changes of the open group; a TRUNCATE counts once
	late    int64      // changes that the open group's END called held and that are in the topic now
	early   bool       // rows of it are still to come
	keep    change.LSN // the gap after which it is being repaired; 0 when it is not
	notices *notices
}

// load decodes the next record of the open group into head; false when it is not at hand.
func (c *cursor) load(ctx context.Context, g *group, k codec, into *buffer, rec *avro.Record) (bool, error) {
	for {
		r, err := c.peek()
		if r == nil || err != nil {
			return false, err
		}
		if isTombstone(r) {
			c.consume()
			continue
		}
		if err := k.change(ctx, r, into, rec); err != nil {
			return false, c.badRecord(r, err)
		}
		fits, err := c.judge(g, r, rec)
		if err != nil {
			return false, err
		}
		c.consume()
		if fits {
			c.head, c.time, c.have = rec.Change, rec.Time, true
			c.head.Ordinal, c.head.Commit, c.head.Time = rec.Position.Ordinal, rec.Position.Commit, rec.Time
			return true, nil
		}
	}
}

// judge tells whether a record belongs to the open group. One of an earlier group was applied before,
// or that group was cut short and never ended; one of a later group means that records are missing.
func (c *cursor) judge(g *group, r *kafka.Record, rec *avro.Record) (bool, error) {
	commit := rec.Position.Commit
	switch {
	case commit <= c.skip && commit != g.end.Commit:
		return false, nil
	case rec.Group == g.end.ID && commit == g.end.Commit:
		return true, nil
	case commit <= g.end.Commit:
		g.dropped(rec.Group, commit)
		return false, nil
	default:
		return false, c.wrong(g, r.Offset, fmt.Sprintf("%d of its records are missing before a record of group %s (commit %s)", c.need, rec.Group, commit))
	}
}

// release gives the head away.
func (c *cursor) release() {
	c.have = false
	c.need--
}

func (c *cursor) wrong(g *group, offset int64, reason string) error {
	return &GroupError{
		Topic: c.Topic, Partition: c.Partition, Offset: offset, Group: g.end.ID, Commit: g.end.Commit, Reason: reason,
	}
}
