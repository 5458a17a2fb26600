package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// ReaderConfig says where each partition is read from; -2 is its first record, -1 its end.
type ReaderConfig struct {
	Offsets     map[TopicPartition]int64
	BufferBytes int // fetched and not yet consumed, all partitions together; default 16 MiB
}

// defaultReadBytes is ReaderConfig's budget where none is given.
const defaultReadBytes = 16 << 20

// minFetchBytes is the least that is asked of a partition, however many share the budget.
const minFetchBytes = 16 << 10

// Reader fetches partitions ahead of its feeds within a byte budget. Each partition has its share, so
// that one that nobody consumes never keeps another from going on. One batch may exceed the share.
type Reader struct {
	c     *Client
	share int // bytes of one partition: fetched in halves

	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	stale   chan struct{}

	feeds map[TopicPartition]*Feed
	order []*Feed // by topic and partition, as a request needs them

	mu    sync.Mutex
	loops map[int32]*fetchLoop
}

// NewReader starts fetching.
func (c *Client) NewReader(ctx context.Context, cfg ReaderConfig) (*Reader, error) {
	starts, err := c.startOffsets(ctx, cfg.Offsets)
	if err != nil {
		return nil, fmt.Errorf("cannot begin to read: %w", err)
	}
	if cfg.BufferBytes == 0 {
		cfg.BufferBytes = defaultReadBytes
	}
	r := &Reader{c: c, share: max(cfg.BufferBytes/max(1, len(starts)), 2*minFetchBytes), stale: make(chan struct{}, 1),
		feeds: map[TopicPartition]*Feed{}, loops: map[int32]*fetchLoop{}}
	for _, tp := range slices.SortedFunc(maps.Keys(starts), compareTP) {
		f := newFeed(r, tp, starts[tp])
		r.feeds[tp] = f
		r.order = append(r.order, f)
	}
	r.ctx, r.end = context.WithCancel(context.WithoutCancel(ctx))
	r.running.Go(r.assign)
	r.askLeaders()
	return r, nil
}

// startOffsets replaces the words for first and end by offsets.
func (c *Client) startOffsets(ctx context.Context, asked map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	out := maps.Clone(asked)
	for _, word := range []int64{FirstOffset, EndOffset} {
		var tps []TopicPartition
		for tp, offset := range asked {
			if offset == word {
				tps = append(tps, tp)
			}
		}
		slices.SortFunc(tps, compareTP)
		found, err := c.listOffsets(ctx, tps, word, readCommitted)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, found)
	}
	return out, nil
}

// Feed gives the partition's records in order; nil when the reader was not asked to read it.
func (r *Reader) Feed(tp TopicPartition) *Feed { return r.feeds[tp] }

// Close ends the fetching.
func (r *Reader) Close() error {
	r.end()
	r.running.Wait()
	for _, f := range r.order {
		f.fail(errReaderClosed)
	}
	return nil
}

func (r *Reader) askLeaders() {
	select {
	case r.stale <- struct{}{}:
	default:
	}
}

// assign asks who leads the partitions, at the start and whenever a fetch failed, and gives each to
// the loop of its broker. All retries of the reader are paced here.
func (r *Reader) assign() {
	pause := retry.Backoff{First: 20 * time.Millisecond, Most: time.Second}
	var last, warned time.Time
	for {
		select {
		case <-r.stale:
		case <-r.ctx.Done():
			return
		}
		if time.Since(last) > 2*pause.Most {
			pause.Reset()
		} else if retry.Wait(r.ctx, pause.Next()) != nil {
			return
		}
		last = time.Now()
		err := r.adopt()
		if err != nil && r.ctx.Err() == nil {
			if time.Since(warned) > warnEvery {
				warned = last
				r.c.log.Warn("cannot find the leaders of partitions to read, trying again", "error", err)
			}
			r.askLeaders()
		}
	}
}

// adopt gives every stale partition to the loop of the broker that leads it now.
func (r *Reader) adopt() error {
	var topics []string
	for _, f := range r.order {
		if n := len(topics); n == 0 || topics[n-1] != f.tp.Topic {
			topics = append(topics, f.tp.Topic)
		}
	}
	k, err := r.c.metadata(r.ctx, topics)
	if err != nil {
		return err
	}
	for _, f := range r.order {
		leader, e := k.leader(f.tp)
		if e != nil {
			err = e
			continue
		}
		r.loop(leader)
		f.assign(leader)
	}
	r.wakeLoops()
	return err
}

// loop makes sure that a broker has its fetch loop.
func (r *Reader) loop(broker int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loops[broker] == nil {
		l := &fetchLoop{r: r, broker: broker, woken: make(chan struct{}, 1)}
		r.loops[broker] = l
		r.running.Go(l.run)
	}
}

func (r *Reader) wakeLoops() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.loops {
		l.wakeUp()
	}
}
