package kafka

import (
	"cmp"
	"fmt"
	"slices"
)

// aborted is a transaction that was aborted, from its producer's first offset in the partition on.
type aborted struct{ producer, first int64 }

// cursor walks the data records of fetched batches, in order. What it gives are views of the data.
type cursor struct {
	tp    TopicPartition
	limit int // bytes that a compressed batch may unpack to

	next int64 // offset after everything that was passed; records below it are not given
	data []byte

	records []byte // what is left of the open batch
	left    int32
	base    int64
	time    int64 // of the first record; of every record when fixedTime
	fixed   bool
	after   int64 // offset after the open batch

	aborts  []aborted // by first offset, not yet reached
	dropped map[int64]struct{}

	rec    Record
	names  map[string]string // header keys, so that none is allocated twice
	unpack unpacker
}

// load hands over the next piece: whole batches, and the transactions aborted within them.
func (c *cursor) load(data []byte, aborts []aborted) {
	c.data, c.records, c.left = data, nil, 0
	c.aborts = aborts
	slices.SortFunc(c.aborts, func(a, b aborted) int { return cmp.Compare(a.first, b.first) })
	clear(c.dropped)
}

// read gives the next data record, valid until the call after; nil at the end of what was loaded.
func (c *cursor) read() (*Record, error) {
	for {
		for c.left > 0 {
			if err := c.readRecord(); err != nil {
				return nil, c.corrupt(err)
			}
			if c.rec.Offset >= c.next {
				c.next = c.rec.Offset + 1
				return &c.rec, nil
			}
		}
		if c.records != nil {
			c.closeBatch()
		}
		if len(c.data) == 0 {
			return nil, nil
		}
		if err := c.openBatch(); err != nil {
			return nil, c.corrupt(err)
		}
	}
}

// corrupt says where the bytes are wrong and what that means.
func (c *cursor) corrupt(err error) error {
	return fmt.Errorf("corrupt data in topic %s partition %d at offset %d: %w; nothing after it was read (compare with kafka-dump-log.sh on the broker)",
		c.tp.Topic, c.tp.Partition, c.next, err)
}

// openBatch checks the next batch and stands before its first record, or passes it where it holds
// nothing for us.
func (c *cursor) openBatch() error {
	b, rest, err := splitBatch(c.data)
	if err != nil {
		return err
	}
	c.data = rest
	h, err := checkBatch(b)
	if err != nil {
		return err
	}
	c.base, c.time, c.fixed = h.base, h.firstTime, h.attributes&attrLogAppendTime != 0
	if c.fixed {
		c.time = h.maxTime
	}
	after := h.base + int64(h.lastDelta) + 1
	if skip, err := c.skips(&h, b); skip || err != nil {
		c.next = max(c.next, after)
		return err
	}
	records := b[batchHeader:]
	if kind := h.attributes & attrCompression; kind != 0 {
		if records, err = c.unpack.unpack(kind, records, c.limit); err != nil {
			return err
		}
	}
	c.records, c.left, c.after = records, h.count, after
	if c.records == nil {
		c.records = emptyRecords
	}
	return nil
}

// emptyRecords stands for an open batch without records.
var emptyRecords = []byte{}

// closeBatch passes the offsets that compaction took from the batch's end.
func (c *cursor) closeBatch() {
	c.records = nil
	c.next = max(c.next, c.after)
}

// skips tells whether a batch holds nothing for us: control records, and records of a transaction that
// was aborted. Aborted producers are known by id alone, since the marker may carry a later epoch.
func (c *cursor) skips(h *batchInfo, b []byte) (bool, error) {
	for len(c.aborts) > 0 && c.aborts[0].first <= h.base+int64(h.lastDelta) {
		if c.dropped == nil {
			c.dropped = map[int64]struct{}{}
		}
		c.dropped[c.aborts[0].producer] = struct{}{}
		c.aborts = c.aborts[1:]
	}
	if h.attributes&attrControl != 0 {
		abort, err := isAbortMarker(h, b)
		if abort {
			delete(c.dropped, h.producer)
		}
		return true, err
	}
	if h.attributes&attrTransactional == 0 || len(c.dropped) == 0 {
		return false, nil
	}
	_, drop := c.dropped[h.producer]
	return drop, nil
}

// readRecord decodes one record into c.rec.
func (c *cursor) readRecord() error {
	size, b, err := readVarint(c.records)
	if err != nil {
		return err
	}
	if size < 0 || size > int64(len(b)) {
		return errCut
	}
	c.records = b[size:]
	c.left--
	return c.decode(b[:size])
}

func (c *cursor) decode(b []byte) error {
	if len(b) == 0 {
		return errCut
	}
	timeDelta, b, err := readVarint(b[1:]) // the first byte holds attributes that nobody uses
	if err != nil {
		return err
	}
	offsetDelta, b, err := readVarint(b)
	if err != nil {
		return err
	}
	c.rec.Offset, c.rec.TimeMillis = c.base+offsetDelta, c.time+timeDelta
	if c.fixed {
		c.rec.TimeMillis = c.time
	}
	if c.rec.Key, b, err = readBytes(b); err != nil {
		return err
	}
	if c.rec.Value, b, err = readBytes(b); err != nil {
		return err
	}
	return c.decodeHeaders(b)
}

func (c *cursor) decodeHeaders(b []byte) error {
	n, b, err := readVarint(b)
	if err != nil {
		return err
	}
	if n < 0 || n > int64(len(b)) {
		return errCut
	}
	c.rec.Headers = c.rec.Headers[:0]
	for range n {
		var key, value []byte
		if key, b, err = readBytes(b); err != nil {
			return err
		}
		if value, b, err = readBytes(b); err != nil {
			return err
		}
		c.rec.Headers = append(c.rec.Headers, Header{c.name(key), value})
	}
	return nil
}

// name gives a header's key as a string, allocated once for each of the first few hundred names.
func (c *cursor) name(key []byte) string {
	if s, ok := c.names[string(key)]; ok {
		return s
	}
	if c.names == nil {
		c.names = map[string]string{}
	}
	s := string(key)
	if len(c.names) < 256 && len(s) < 256 {
		c.names[s] = s
	}
	return s
}
