package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// awaitMarkers waits until each partition shows our marker at or after its offset.
func (p *Producer) awaitMarkers(ctx context.Context, from map[TopicPartition]int64) error {
	left := maps.Clone(from)
	end := time.Now().Add(retryLimit)
	for len(left) > 0 {
		if time.Now().After(end) {
			for tp := range left {
				return fmt.Errorf("topic %s partition %d does not show the end of our transaction after %v", tp.Topic, tp.Partition, retryLimit)
			}
		}
		err := p.c.retry(ctx, func(ctx context.Context) error { return p.lookForMarkers(ctx, left) })
		if err != nil {
			return err
		}
	}
	return nil
}

// markerWait is how long a broker may hold the request that looks for markers; they come within
// milliseconds.
const markerWait = 50 * time.Millisecond

// lookForMarkers reads on in each partition that is left, and takes those out that show the marker.
func (p *Producer) lookForMarkers(ctx context.Context, left map[TopicPartition]int64) error {
	groups, err := p.c.byLeader(ctx, slices.Collect(maps.Keys(left)))
	if err != nil {
		return err
	}
	for leader, tps := range groups {
		addr, _ := p.c.address(leader)
		slices.SortFunc(tps, compareTP)
		spec := &fetchSpec{iso: readUncommitted, maxWait: markerWait, minBytes: 1, maxBytes: scanBytes}
		for _, tp := range tps {
			spec.parts = append(spec.parts, fetchPart{tp, left[tp], scanBytes})
		}
		err := p.c.fetchFrom(ctx, addr, spec, func(f *fetched) error { return p.lookIn(f, left) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Producer) lookIn(f *fetched, left map[TopicPartition]int64) error {
	tp := TopicPartition{string(f.topic), f.partition}
	if f.code != 0 {
		return fmt.Errorf("topic %s partition %d: %w", tp.Topic, tp.Partition, f.code)
	}
	whole, next, err := wholeBatches(f.data, left[tp])
	if err != nil {
		return err
	}
	left[tp] = next
	for len(whole) > 0 {
		b, rest, _ := splitBatch(whole)
		h := readHeader(b)
		if h.attributes&attrControl != 0 && h.producer == p.id && h.epoch >= p.epoch {
			delete(left, tp)
			return nil
		}
		whole = rest
	}
	return nil
}
