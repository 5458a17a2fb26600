package publish

import (
	"context"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
)

// The headers of a TRUNCATE: readers that know nothing of them see a null record and skip it.
const (
	HeaderOp    = "sluice.op"
	HeaderValue = "sluice.value"
)

// sendTruncate writes a TRUNCATE as configured. In mode publish it stands in every partition, so
// that it is ordered against every key.
func (p *Publisher) sendTruncate(ctx context.Context, r *route, g *change.Group, c *change.Change) (err error) {
	if p.o.Truncate == TruncateSkip {
		return nil
	}
	order := p.order(r.stream)
	if p.value, err = r.encoder.Envelope(p.value[:0], g, c, order, p.group.now); err != nil {
		return err
	}
	record := kafka.Record{TimeMillis: int64(p.group.now) / 1000, Value: p.value}
	partitions := r.stream.partitions[:1]
	if p.o.Truncate == TruncatePublish {
		record.Value = nil
		record.Headers = []kafka.Header{{Key: HeaderOp, Value: []byte{byte(change.Truncate)}}, {Key: HeaderValue, Value: p.value}}
		partitions = r.stream.partitions
	}
	at := change.Position{Commit: g.Commit, Ordinal: c.Ordinal}
	for i, to := range partitions {
		r.stream.counts[i]++
		if r.stream.seen(int32(i), at) {
			p.metrics.Resent.Inc()
			continue
		}
		if err := p.producer.Append(ctx, to, p.progress.tag(), record); err != nil {
			return p.explain(r, err)
		}
	}
	r.metrics.count(c.Op)
	return nil
}
