package pgoutput

import "github.com/sluicecdc/sluice/internal/change"

// Message is what pg_logical_emit_message wrote. Outside a transaction it stands alone, at its LSN.
type Message struct {
	XID           uint32
	Transactional bool
	LSN           change.LSN
	Prefix        []byte
	Content       []byte
}

// Decode reads the bytes after the kind.
func (m *Message) Decode(b []byte, streamed bool) error {
	c := cursor{b: b}
	*m = Message{XID: c.xid(streamed), Transactional: c.u8()&1 != 0, LSN: c.lsn(), Prefix: c.text()}
	n := c.u32()
	if int64(n) > int64(len(c.b)) {
		c.fail("its content is longer than it")
		n = 0
	}
	m.Content = c.take(int(n))
	return c.end("Message")
}
