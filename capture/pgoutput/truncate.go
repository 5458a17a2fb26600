package pgoutput

// Truncate empties tables, all at once. Decode reuses Relations.
type Truncate struct {
	XID             uint32
	Cascade         bool
	RestartIdentity bool
	Relations       []uint32
}

// Decode reads the bytes after the kind.
func (m *Truncate) Decode(b []byte, streamed bool) error {
	c := cursor{b: b}
	m.XID = c.xid(streamed)
	n := int64(c.u32())
	options := c.u8()
	m.Cascade, m.RestartIdentity = options&1 != 0, options&2 != 0
	m.Relations = m.Relations[:0]
	if 4*n > int64(len(c.b)) {
		c.fail("it has more tables than bytes")
		n = 0
	}
	for range n {
		m.Relations = append(m.Relations, c.u32())
	}
	return c.end("Truncate")
}
