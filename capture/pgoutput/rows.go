package pgoutput

import "github.com/sluicecdc/sluice/internal/change"

// The tags before a row: which row it is.
const (
	tagNew = 'N'
	tagOld = 'O' // the whole old row (REPLICA IDENTITY FULL)
	tagKey = 'K' // the replica identity's columns; the others are sent as NULL
)

// Insert is a new row. Decode reuses New.
type Insert struct {
	XID      uint32
	Relation uint32
	New      change.Row
}

// Decode reads the bytes after the kind.
func (m *Insert) Decode(b []byte, streamed bool) error {
	c := cursor{b: b}
	m.XID, m.Relation = c.xid(streamed), c.u32()
	if c.u8() != tagNew {
		c.fail("the new row is missing")
	}
	m.New = c.row(m.New)
	return c.end("Insert")
}

// Update is a changed row. Decode reuses Old and New.
type Update struct {
	XID      uint32
	Relation uint32
	Before   change.BeforeKind // what Old is; BeforeNone leaves it empty
	Old      change.Row
	New      change.Row
}

// Decode reads the bytes after the kind.
func (m *Update) Decode(b []byte, streamed bool) error {
	c := cursor{b: b}
	m.XID, m.Relation = c.xid(streamed), c.u32()
	m.Before, m.Old = change.BeforeNone, m.Old[:0]
	tag := c.u8()
	if tag == tagOld || tag == tagKey {
		m.Before = beforeKind(tag)
		m.Old = c.row(m.Old)
		tag = c.u8()
	}
	if tag != tagNew {
		c.fail("the new row is missing")
	}
	m.New = c.row(m.New)
	return c.end("Update")
}

// Delete is a removed row. Decode reuses Old.
type Delete struct {
	XID      uint32
	Relation uint32
	Before   change.BeforeKind
	Old      change.Row
}

// Decode reads the bytes after the kind.
func (m *Delete) Decode(b []byte, streamed bool) error {
	c := cursor{b: b}
	m.XID, m.Relation = c.xid(streamed), c.u32()
	tag := c.u8()
	if tag != tagOld && tag != tagKey {
		c.fail("the old row is missing")
	}
	m.Before = beforeKind(tag)
	m.Old = c.row(m.Old)
	return c.end("Delete")
}

func beforeKind(tag byte) change.BeforeKind {
	if tag == tagOld {
		return change.BeforeFull
	}
	return change.BeforeKey
}
