package kafka

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// The compressions of a batch's attributes.
const (
	packedGzip   = 1
	packedSnappy = 2
	packedLZ4    = 3
	packedZstd   = 4
)

// unpacker decompresses the records of batches, with buffers of its own that the next call reuses.
type unpacker struct {
	out  []byte
	zstd *zstd.Decoder
	lz4  *lz4.Reader
	gzip *gzip.Reader
}

// unpack gives at most limit bytes; a batch that holds more is an error, however small it is packed.
func (u *unpacker) unpack(kind uint16, packed []byte, limit int) ([]byte, error) {
	u.out = u.out[:0]
	if kind == packedSnappy {
		return u.unpackSnappy(packed, limit)
	}
	in, err := u.reader(kind, packed)
	if err != nil {
		return nil, fmt.Errorf("cannot unpack records: %w", err)
	}
	if err := u.fill(in, limit); err != nil {
		return nil, err
	}
	return u.out, nil
}

// fill reads to the end, into a buffer that doubles, but not beyond the limit.
func (u *unpacker) fill(in io.Reader, limit int) error {
	for {
		if len(u.out) == cap(u.out) {
			u.out = append(make([]byte, 0, min(max(2*cap(u.out), 4<<10), limit+1)), u.out...)
		}
		n, err := in.Read(u.out[len(u.out):cap(u.out)])
		u.out = u.out[:len(u.out)+n]
		switch {
		case len(u.out) > limit:
			u.out = nil // one bad batch must not keep the memory
			return tooLarge(limit)
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("cannot unpack records: %w", err)
		}
	}
}

func tooLarge(limit int) error {
	return fmt.Errorf("records unpack to more than %d bytes, twice kafka.max_message_bytes", limit)
}

func (u *unpacker) reader(kind uint16, packed []byte) (io.Reader, error) {
	in := bytes.NewReader(packed)
	var err error
	switch kind {
	case packedGzip:
		if u.gzip == nil {
			u.gzip, err = gzip.NewReader(in)
			return u.gzip, err
		}
		return u.gzip, u.gzip.Reset(in)
	case packedLZ4:
		if u.lz4 == nil {
			u.lz4 = lz4.NewReader(in)
		}
		u.lz4.Reset(in)
		return u.lz4, nil
	case packedZstd:
		if u.zstd == nil {
			if u.zstd, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20)); err != nil {
				return nil, err
			}
			return u.zstd, nil
		}
		return u.zstd, u.zstd.Reset(in)
	}
	return nil, fmt.Errorf("unknown compression %d", kind)
}

// xerial is how Java's snappy stream begins; blocks with their length follow after 16 bytes.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

var errSnappy = errors.New("cannot unpack records: malformed snappy stream")

func (u *unpacker) unpackSnappy(packed []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(packed, xerial) {
		return u.snappyBlock(packed, limit)
	}
	if len(packed) < 16 {
		return nil, errSnappy
	}
	for packed = packed[16:]; len(packed) > 0; {
		if len(packed) < 4 {
			return nil, errSnappy
		}
		n := int64(binary.BigEndian.Uint32(packed))
		if n > int64(len(packed)-4) {
			return nil, errSnappy
		}
		if _, err := u.snappyBlock(packed[4:4+n], limit); err != nil {
			return nil, err
		}
		packed = packed[4+n:]
	}
	return u.out, nil
}

// snappyBlock adds one block to what was unpacked.
func (u *unpacker) snappyBlock(block []byte, limit int) ([]byte, error) {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return nil, errSnappy
	}
	if n > limit-len(u.out) {
		return nil, tooLarge(limit)
	}
	plain, err := snappy.Decode(nil, block)
	if err != nil {
		return nil, errSnappy
	}
	u.out = append(u.out, plain...)
	return u.out, nil
}
