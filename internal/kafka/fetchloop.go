package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// drainWait is how long a broker may hold a request that leaves out partitions because their queues
// are full: one that is drained meanwhile is asked for again that soon.
const drainWait = 5 * time.Millisecond

// While answers bring flood bytes, the broker gathers so much for floodWait at most: fewer, larger answers cost it and us
// less. Otherwise it answers with the first record that comes.
const (
	flood     = 64 << 10
	gather    = 256 << 10
	floodWait = 8 * time.Millisecond
	// Answers that come one upon the other, brisk of them each within briskGap, are small ones of many writers: the broker
	// gathers for briskWait, since each costs it a third of a millisecond, whatever is in it.
	brisk     = 16
	briskGap  = 4 * time.Millisecond
	briskWait = 2 * time.Millisecond
)

// fetchLoop fetches from one broker what it leads, on a connection of its own.
type fetchLoop struct {
	r      *Reader
	broker int32
	woken  chan struct{}
	spec   fetchSpec
	got    int // bytes of the last answer
	last   time.Time
	quick  int // answers in a row that came soon, with something in them
	turn   int
}

func (l *fetchLoop) wakeUp() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// run fetches while anything can be, and sleeps otherwise, until the reader is closed.
func (l *fetchLoop) run() {
	var c *conn
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for l.r.ctx.Err() == nil {
		if !l.prepare() {
			select {
			case <-l.woken:
			case <-l.r.ctx.Done():
			}
			continue
		}
		if err := l.fetch(&c); err != nil && l.r.ctx.Err() == nil {
			l.broke(err)
		}
	}
}

// prepare lists the partitions to ask for; false when there are none.
func (l *fetchLoop) prepare() bool {
	l.spec.iso, l.spec.maxWait = readCommitted, fetchWait
	l.spec.parts = l.spec.parts[:0]
	half := l.r.share / 2
	for _, f := range l.r.order {
		offset, want, full := f.wants(l.broker)
		if full {
			l.spec.maxWait = drainWait
		}
		if want {
			l.spec.parts = append(l.spec.parts, fetchPart{f.tp, offset, half})
		}
	}
	l.spec.maxBytes = max(half, min(len(l.spec.parts)*half, fetchMost))
	l.spec.minBytes = 1
	switch {
	case l.got >= flood:
		l.gather(floodWait)
	case l.quick >= brisk:
		l.gather(briskWait)
	}
	l.rotate()
	return len(l.spec.parts) > 0
}

// gather has the broker wait for more.
func (l *fetchLoop) gather(wait time.Duration) {
	l.spec.minBytes, l.spec.maxWait = min(gather, l.spec.maxBytes/2), min(l.spec.maxWait, wait)
}

// notePace counts the answers that come soon.
func (l *fetchLoop) notePace(now time.Time) {
	if l.got == 0 || now.Sub(l.last) > briskGap {
		l.quick = 0
	} else {
		l.quick++
	}
	l.last = now
}

// fetchMost bounds an answer when many partitions share a broker.
const fetchMost = 8 << 20

// rotate begins with another topic each time, since brokers fill an answer in order up to its size.
func (l *fetchLoop) rotate() {
	n := len(l.spec.parts)
	if n < 2 {
		return
	}
	l.turn++
	i := l.turn % n
	for i > 0 && l.spec.parts[i].tp.Topic == l.spec.parts[i-1].tp.Topic {
		i--
	}
	slices.Reverse(l.spec.parts[:i])
	slices.Reverse(l.spec.parts[i:])
	slices.Reverse(l.spec.parts)
}

func (l *fetchLoop) fetch(c **conn) error {
	if *c == nil {
		addr, ok := l.r.c.address(l.broker)
		if !ok {
			return fmt.Errorf("broker %d: %w", l.broker, errNoLeader)
		}
		var err error
		if *c, err = l.r.c.dialer.dial(l.r.ctx, addr); err != nil {
			return err
		}
	}
	l.got = 0
	err := (*c).fetch(l.r.ctx, &l.spec, l.r.c.answerLimit(l.spec.maxBytes), l.deliver)
	if err != nil {
		(*c).Close()
		*c = nil
	}
	l.notePace(time.Now())
	return err
}

// deliver hands one partition's data to its feed.
func (l *fetchLoop) deliver(p *fetched) error {
	f := l.find(p)
	if f == nil {
		return nil
	}
	switch {
	case p.code == 0:
		l.got += len(p.data)
		f.put(p)
	case p.code == codeOffsetOutOfRange:
		f.fail(l.outOfRange(f))
	case p.code.Retriable():
		f.unassign()
		l.r.askLeaders()
	default:
		f.fail(fmt.Errorf("cannot read topic %s partition %d: %w", f.tp.Topic, f.tp.Partition, p.code))
	}
	return nil
}

func (l *fetchLoop) find(p *fetched) *Feed {
	for i := range l.spec.parts {
		if tp := l.spec.parts[i].tp; tp.Partition == p.partition && tp.Topic == string(p.topic) {
			return l.r.feeds[tp]
		}
	}
	return nil
}

// outOfRange says what is there instead of what was asked for.
func (l *fetchLoop) outOfRange(f *Feed) error {
	ctx, cancel := context.WithTimeout(l.r.ctx, requestTimeout)
	defer cancel()
	offset, _, _ := f.wants(l.broker)
	e := &OffsetOutOfRangeError{Topic: f.tp.Topic, Partition: f.tp.Partition, Offset: offset, First: -1, End: -1}
	tps := []TopicPartition{f.tp}
	if first, err := l.r.c.listOffsets(ctx, tps, FirstOffset, readCommitted); err == nil {
		e.First = first[f.tp]
	}
	if end, err := l.r.c.listOffsets(ctx, tps, EndOffset, readUncommitted); err == nil {
		e.End = end[f.tp]
	}
	return e
}

// broke leaves the partitions of a broker that cannot be reached to the next one that leads them.
func (l *fetchLoop) broke(err error) {
	l.r.c.log.Debug("fetch failed, trying again", "broker", l.broker, "error", err)
	for i := range l.spec.parts {
		l.r.feeds[l.spec.parts[i].tp].unassign()
	}
	l.r.askLeaders()
}
