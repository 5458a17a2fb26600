package kafka

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// batchInfo is a batch's header.
type batchInfo struct {
	base       int64
	attributes uint16
	lastDelta  int32
	firstTime  int64
	maxTime    int64
	producer   int64
	epoch      int16
	count      int32
}

// splitBatch cuts the first batch off data. A batch whose end is missing gives errCut.
func splitBatch(data []byte) (b, rest []byte, err error) {
	if len(data) < batchHeader {
		return nil, nil, errCut
	}
	if data[atMagic] != magic2 {
		return nil, nil, fmt.Errorf("message format %d, only 2 is read: it was written before Kafka 0.11", data[atMagic])
	}
	size := int64(int32(binary.BigEndian.Uint32(data[atLength:]))) + atLeaderEpoch
	if size < batchHeader {
		return nil, nil, fmt.Errorf("batch length %d is too small", size)
	}
	if size > int64(len(data)) {
		return nil, nil, errCut
	}
	return data[:size], data[size:], nil
}

// wholeBatches gives the part of data that holds whole batches, without one that is cut at the end,
// and the offset after them.
func wholeBatches(data []byte, from int64) (whole []byte, next int64, err error) {
	rest := data
	next = from
	for len(rest) > 0 {
		b, after, err := splitBatch(rest)
		if err == errCut {
			break
		}
		if err != nil {
			return nil, next, err
		}
		h := readHeader(b)
		if h.lastDelta < 0 || h.base < 0 {
			return nil, next, fmt.Errorf("batch at offset %d with a last offset delta of %d", h.base, h.lastDelta)
		}
		next = max(next, h.base+int64(h.lastDelta)+1)
		rest = after
	}
	return data[:len(data)-len(rest)], next, nil
}

func readHeader(b []byte) batchInfo {
	be := binary.BigEndian
	return batchInfo{
		base:       int64(be.Uint64(b)),
		attributes: be.Uint16(b[atAttributes:]),
		lastDelta:  int32(be.Uint32(b[atLastOffsetDelta:])),
		firstTime:  int64(be.Uint64(b[atFirstTime:])),
		maxTime:    int64(be.Uint64(b[atMaxTime:])),
		producer:   int64(be.Uint64(b[atProducerID:])),
		epoch:      int16(be.Uint16(b[atProducerEpoch:])),
		count:      int32(be.Uint32(b[atCount:])),
	}
}

// checkBatch checks the sum over a whole batch, and its header.
func checkBatch(b []byte) (batchInfo, error) {
	want, sum := binary.BigEndian.Uint32(b[atCRC:]), crc32.Checksum(b[atAttributes:], castagnoli)
	if want != sum {
		return batchInfo{}, fmt.Errorf("CRC %08x where the batch says %08x", sum, want)
	}
	h := readHeader(b)
	if h.count < 0 || h.lastDelta < 0 || h.base < 0 {
		return batchInfo{}, fmt.Errorf("batch of %d records, last offset delta %d", h.count, h.lastDelta)
	}
	return h, nil
}

// isAbortMarker reads a control batch's record: its key is a version and a type, 0 for abort.
func isAbortMarker(h *batchInfo, b []byte) (bool, error) {
	if h.count == 0 {
		return false, nil // compaction took the marker
	}
	_, b, err := readVarint(b[batchHeader:])
	if err == nil && len(b) > 0 {
		_, b, err = readVarint(b[1:])
	}
	if err == nil {
		_, b, err = readVarint(b)
	}
	if err != nil {
		return false, err
	}
	key, _, err := readBytes(b)
	if err != nil || len(key) < 4 {
		return false, errCut
	}
	return binary.BigEndian.Uint16(key[2:]) == 0, nil
}
