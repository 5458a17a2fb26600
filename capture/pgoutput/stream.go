package pgoutput

import "github.com/sluicecdc/sluice/internal/change"

// StreamStart opens a block of a transaction that is still in progress at the source.
type StreamStart struct {
	XID   uint32
	First bool // the transaction's first block
}

// Decode reads the bytes after the kind.
func (m *StreamStart) Decode(b []byte) error {
	c := cursor{b: b}
	*m = StreamStart{XID: c.u32(), First: c.u8() == 1}
	return c.end("StreamStart")
}

// StreamStop closes the block.
type StreamStop struct{}

// Decode reads the bytes after the kind, of which there are none.
func (m *StreamStop) Decode(b []byte) error {
	c := cursor{b: b}
	return c.end("StreamStop")
}

// StreamCommit commits a transaction that was sent in blocks.
type StreamCommit struct {
	XID    uint32
	Commit change.LSN
	End    change.LSN
	Time   change.Micros
}

// Decode reads the bytes after the kind.
func (m *StreamCommit) Decode(b []byte) error {
	c := cursor{b: b}
	m.XID = c.u32()
	c.u8() // flags, unused
	m.Commit, m.End, m.Time = c.lsn(), c.lsn(), c.time()
	return c.end("StreamCommit")
}

// StreamAbort aborts a transaction that was sent in blocks, or the subtransaction SubXID of it.
type StreamAbort struct {
	XID    uint32
	SubXID uint32 // equal to XID for the whole transaction
	// LSN and Time are sent by protocol 4 with streaming = parallel only; 0 otherwise.
	LSN  change.LSN
	Time change.Micros
}

// Decode reads the bytes after the kind.
func (m *StreamAbort) Decode(b []byte) error {
	c := cursor{b: b}
	*m = StreamAbort{XID: c.u32(), SubXID: c.u32()}
	if len(c.b) > 0 {
		m.LSN, m.Time = c.lsn(), c.time()
	}
	return c.end("StreamAbort")
}
