package kafka

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compression says how record batches are packed.
type Compression string

// The compressions of kafka.compression.
const (
	CompressNone Compression = "none"
	CompressLZ4  Compression = "lz4"
	CompressZstd Compression = "zstd"
)

func (c Compression) validate() error {
	switch c {
	case "", CompressNone, CompressLZ4, CompressZstd:
		return nil
	}
	return fmt.Errorf("kafka.compression: %q is none of none, lz4 and zstd", string(c))
}

// packer packs the records of batches. One goroutine uses it.
type packer struct {
	kind uint16 // of a batch's attributes
	pack func(dst, records []byte) ([]byte, error)
}

// newPacker gives nil where nothing is packed.
func newPacker(c Compression) (*packer, error) {
	switch c {
	case CompressLZ4:
		return newLZ4()
	case CompressZstd:
		return newZstd()
	}
	return nil, nil //nolint:nilnil // no packer is a kind of packer
}

// newLZ4 packs frames as Kafka reads them: blocks of 64 KiB, without a sum of the whole, since a batch has one.
func newLZ4() (*packer, error) {
	w := lz4.NewWriter(nil)
	if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1)); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	return &packer{kind: packedLZ4, pack: func(dst, records []byte) ([]byte, error) {
		out = *bytes.NewBuffer(dst)
		w.Reset(&out)
		if _, err := w.Write(records); err != nil {
			return nil, err
		}
		err := w.Close()
		return out.Bytes(), err
	}}, nil
}

// newZstd packs as fast as zstd can: its next level takes half as much time again and saves a tenth.
func newZstd() (*packer, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(256<<10))
	if err != nil {
		return nil, err
	}
	return &packer{kind: packedZstd, pack: func(dst, records []byte) ([]byte, error) { return e.EncodeAll(records, dst), nil }}, nil
}
