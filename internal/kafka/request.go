package kafka

import (
	"encoding/binary"
	"net"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

// produceVersion is known to every broker from 2.4 on, to 4.x too.
const produceVersion = 8

// requestBytes bounds a request of several batches; brokers take 100 MiB (socket.request.max.bytes).
const requestBytes = 8 << 20

// produceTimeoutMillis is how long a broker may wait for the other replicas.
const produceTimeoutMillis = 30_000

// request is one produce request: at most one batch of each partition.
type request struct {
	id    int32
	items []item
	size  int // bytes of batches, before they are packed
	sent  time.Time

	frame  []byte // everything but the batches
	cuts   []int  // where in frame each batch belongs
	pieces net.Buffers
}

// item is a batch on its way.
type item struct {
	to   *Partition
	b    *batch
	code Code
	seen bool // the answer names it
	text string
}

func (r *request) reset() {
	clear(r.items)
	r.items, r.size = r.items[:0], 0
}

func (r *request) add(to *Partition, b *batch) {
	r.items = append(r.items, item{to: to, b: b})
	r.size += len(b.buf)
}

// encode lays the request out (protocol guide, Produce Request v8) as pieces to write: batches are
// sent from where they were built.
func (r *request) encode(id, timeout int32, transactionalID string) {
	slices.SortFunc(r.items, func(a, b item) int { return a.to.order - b.to.order })
	r.id, r.cuts = id, r.cuts[:0]
	f := appendHeader(r.frame[:0], int16(protocol.Produce), produceVersion, id)
	if transactionalID == "" {
		f = append(f, 0xff, 0xff) // null: ordinary batches
	} else {
		f = appendString(f, transactionalID)
	}
	f = append(f, 0xff, 0xff) // acks: all replicas in sync
	f = appendInt32(f, timeout)
	at := len(f)
	f = appendInt32(f, 0)
	topics, size := 0, 0
	for i := 0; i < len(r.items); topics++ {
		end := i + 1
		for end < len(r.items) && r.items[end].to.topic == r.items[i].to.topic {
			end++
		}
		f = appendString(f, r.items[i].to.topic)
		f = appendInt32(f, int32(end-i))
		for ; i < end; i++ {
			f = appendInt32(f, r.items[i].to.id)
			f = appendInt32(f, int32(len(r.items[i].b.wire())))
			size += len(r.items[i].b.wire())
			r.cuts = append(r.cuts, len(f))
		}
	}
	binary.BigEndian.PutUint32(f[at:], uint32(topics))
	binary.BigEndian.PutUint32(f, uint32(len(f)-4+size))
	r.frame = f
	r.cut()
}

func (r *request) cut() {
	r.pieces = r.pieces[:0]
	from := 0
	for i, to := range r.cuts {
		r.pieces = append(r.pieces, r.frame[from:to], r.items[i].b.wire())
		from = to
	}
}

// decode reads the answer (protocol guide, Produce Response v8) into the items. Partitions come in
// any order.
func (r *request) decode(b []byte) error {
	a := answer{b: b}
	for range a.count(6) {
		topic := a.string()
		for range a.count(30) {
			id, code := a.int32(), Code(a.int16())
			a.take(24) // base offset, append time, log start
			for range a.count(6) {
				a.int32()
				a.string()
			}
			text := a.string()
			if it := r.find(topic, id); it != nil && !a.bad {
				it.code, it.seen, it.text = code, true, string(text)
			}
		}
	}
	return a.err()
}

func (r *request) find(topic []byte, id int32) *item {
	for i := range r.items {
		if it := &r.items[i]; it.to.id == id && it.to.topic == string(topic) {
			return it
		}
	}
	return nil
}
