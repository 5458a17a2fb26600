package publish

import (
	"bytes"
	"context"

	"github.com/sluicecdc/sluice/internal/kafka"
)

// later holds what must not be written yet. The END of copied rows waits until every record of theirs is
// acknowledged: nobody would complete them after a crash. The ENDs of transactions behind it wait for their
// turn, while their records travel. What the journal is to say of copied rows waits until their END is
// acknowledged.
type later struct {
	ends  []delayed
	notes []delayed
}

// delayed is a record of a group that has ended.
type delayed struct {
	number uint64 // of the group
	rows   bool   // its own records are to be acknowledged first
	record kafka.Record
}

// mostLater bounds the ENDs that wait; then everything is waited for.
const mostLater = 4096

func delay(number uint64, rows bool, r *kafka.Record) delayed {
	out := delayed{number: number, rows: rows, record: *r}
	out.record.Key, out.record.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	return out
}

// goOn writes what may be written by now.
func (p *Publisher) goOn(ctx context.Context) error {
	l := &p.later
	if len(l.ends) == 0 && len(l.notes) == 0 {
		return nil
	}
	if len(l.ends) >= mostLater {
		if err := p.producer.Wait(ctx); err != nil {
			return err
		}
	}
	oldest, waiting := p.producer.OldestTag()
	for len(l.ends) > 0 && !(l.ends[0].rows && waiting && oldest <= l.ends[0].number) {
		e := &l.ends[0]
		if err := p.producer.Append(ctx, p.ends.partition, e.number, e.record); err != nil {
			return err
		}
		l.ends = l.ends[1:]
		p.progress.ended(l.first())
		oldest, waiting = p.producer.OldestTag()
	}
	for len(l.notes) > 0 && !(waiting && oldest <= l.notes[0].number) && (len(l.ends) == 0 || l.ends[0].number > l.notes[0].number) {
		if err := p.producer.Append(ctx, p.journal.partition, p.progress.tag(), l.notes[0].record); err != nil {
			return err
		}
		l.notes = l.notes[1:]
	}
	return nil
}

// first gives the first group whose END is not written, 0 when there is none.
func (l *later) first() uint64 {
	if len(l.ends) == 0 {
		return 0
	}
	return l.ends[0].number
}

// Settle implements capture.Journal. A Kafka transaction that wraps an open group ends with the group only.
func (p *Publisher) Settle(ctx context.Context) error {
	if p.o.Transactions && p.group.open {
		return nil
	}
	return p.settleAll(ctx)
}

// settleAll returns when nothing waits any more, and everything is acknowledged.
func (p *Publisher) settleAll(ctx context.Context) error {
	for {
		if err := p.producer.Wait(ctx); err != nil {
			return err
		}
		if len(p.later.ends) == 0 && len(p.later.notes) == 0 {
			return nil
		}
		if err := p.goOn(ctx); err != nil {
			return err
		}
	}
}
