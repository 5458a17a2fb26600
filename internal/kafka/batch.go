package kafka

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// The layout of a record batch, magic 2 (Kafka documentation, "Message Format"): offsets of its
// fields, in bytes from its begin.
const (
	atLength          = 8  // of what follows this field
	atLeaderEpoch     = 12 //
	atMagic           = 16
	atCRC             = 17 // CRC-32C of everything from atAttributes on
	atAttributes      = 21
	atLastOffsetDelta = 23
	atFirstTime       = 27
	atMaxTime         = 35
	atProducerID      = 43
	atProducerEpoch   = 51
	atSequence        = 53
	atCount           = 57
	batchHeader       = 61
)

// The bits of a batch's attributes.
const (
	attrCompression   = 7
	attrLogAppendTime = 1 << 3
	attrTransactional = 1 << 4
	attrControl       = 1 << 5
)

const magic2 = 2

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch is a record batch under construction, then sealed, then under way. Its bytes never change
// after it was sent for the first time.
type batch struct {
	buf         []byte // header and records
	packed      []byte // the same with the records packed; empty where that is not smaller
	tag         uint64 // of its first record
	transaction uint64 // that it belongs to
	count       int32
	sequence    int32 // of its first record; set when sealed
	firstTime   int64
	maxTime     int64
	finished    bool // the header is written
}

// reset makes b empty, with room for size bytes.
func (b *batch) reset(size int) {
	if cap(b.buf) < size {
		b.buf = make([]byte, size)
	}
	*b = batch{buf: b.buf[:batchHeader], packed: b.packed[:0]}
}

// measure gives the bytes that records would add to b.
func (b *batch) measure(records []Record) int {
	size := 0
	for i := range records {
		body := recordBody(&records[i], b.count+int32(i), b.timeDelta(records, i))
		size += body + varintLen(int64(body))
	}
	return size
}

// timeDelta is the time of record i against the batch's first.
func (b *batch) timeDelta(records []Record, i int) int64 {
	if b.count == 0 {
		return records[i].TimeMillis - records[0].TimeMillis
	}
	return records[i].TimeMillis - b.firstTime
}

// append adds records; there must be room for what measure gave.
func (b *batch) append(records []Record) {
	if b.count == 0 {
		b.firstTime, b.maxTime = records[0].TimeMillis, records[0].TimeMillis
	}
	for i := range records {
		r := &records[i]
		b.buf = appendRecord(b.buf, r, b.count, r.TimeMillis-b.firstTime)
		b.count++
		b.maxTime = max(b.maxTime, r.TimeMillis)
	}
}

// finish packs the records, with a packer, and writes the header. It is called once, before the first send.
func (b *batch) finish(producer int64, epoch int16, attributes uint16, pack *packer) error {
	if b.finished {
		return nil
	}
	if pack != nil {
		packed, err := pack.pack(append(b.packed[:0], b.buf[:batchHeader]...), b.buf[batchHeader:])
		if err != nil {
			return fmt.Errorf("cannot pack a batch: %w", err)
		}
		b.packed = packed
		if len(packed) < len(b.buf) {
			attributes |= pack.kind
		} else {
			b.packed = packed[:0]
		}
	}
	b.writeHeader(producer, epoch, attributes)
	b.finished = true
	return nil
}

// wire gives what is sent.
func (b *batch) wire() []byte {
	if len(b.packed) > 0 {
		return b.packed
	}
	return b.buf
}

func (b *batch) writeHeader(producer int64, epoch int16, attributes uint16) {
	h, be := b.wire(), binary.BigEndian
	be.PutUint64(h, 0)
	be.PutUint32(h[atLength:], uint32(len(h)-atLeaderEpoch))
	be.PutUint32(h[atLeaderEpoch:], 0xffffffff)
	h[atMagic] = magic2
	be.PutUint16(h[atAttributes:], attributes)
	be.PutUint32(h[atLastOffsetDelta:], uint32(b.count-1))
	be.PutUint64(h[atFirstTime:], uint64(b.firstTime))
	be.PutUint64(h[atMaxTime:], uint64(b.maxTime))
	be.PutUint64(h[atProducerID:], uint64(producer))
	be.PutUint16(h[atProducerEpoch:], uint16(epoch))
	be.PutUint32(h[atSequence:], uint32(b.sequence))
	be.PutUint32(h[atCount:], uint32(b.count))
	setSum(h)
}

// setSum writes the sum over a whole batch.
func setSum(b []byte) {
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
}

// nextSequence is the sequence after n records; it wraps to 0 after the largest int32.
func nextSequence(seq, n int32) int32 { return int32((uint32(seq) + uint32(n)) & 0x7fffffff) }

// recordBody gives a record's bytes without the length before it.
func recordBody(r *Record, offsetDelta int32, timeDelta int64) int {
	n := 1 + varintLen(timeDelta) + varintLen(int64(offsetDelta)) + bytesLen(r.Key) + bytesLen(r.Value) + varintLen(int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		n += varintLen(int64(len(h.Key))) + len(h.Key) + bytesLen(h.Value)
	}
	return n
}

func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func appendRecord(dst []byte, r *Record, offsetDelta int32, timeDelta int64) []byte {
	dst = appendVarint(dst, int64(recordBody(r, offsetDelta, timeDelta)))
	dst = append(dst, 0)
	dst = appendVarint(dst, timeDelta)
	dst = appendVarint(dst, int64(offsetDelta))
	dst = appendBytes(dst, r.Key)
	dst = appendBytes(dst, r.Value)
	dst = appendVarint(dst, int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		dst = appendVarint(dst, int64(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = appendBytes(dst, h.Value)
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // the varint of -1
	}
	dst = appendVarint(dst, int64(len(b)))
	return append(dst, b...)
}

// appendVarint writes a zigzag varint, as protocol buffers do.
func appendVarint(dst []byte, v int64) []byte {
	u := uint64(v<<1) ^ uint64(v>>63)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

func varintLen(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	return (bits.Len64(u|1) + 6) / 7
}
