package pgoutput

import "github.com/sluicecdc/sluice/internal/change"

// Relation describes a table, before its first row in a session and again after it may have changed.
// It holds copies, as it is kept.
type Relation struct {
	XID      uint32
	OID      uint32
	Schema   string
	Name     string
	Identity change.Identity
	Columns  []RelationColumn
}

// RelationColumn is one published column.
type RelationColumn struct {
	Name string
	Type uint32 // OID, which may be a domain's
	Mod  int32
	Key  bool // part of the replica identity; with identity full every column is
}

// minColumn is the least a column takes: flags, an empty name's end, type and modifier.
const minColumn = 1 + 1 + 4 + 4

// Decode reads the bytes after the kind.
func (m *Relation) Decode(b []byte, streamed bool) error {
	c := cursor{b: b}
	*m = Relation{XID: c.xid(streamed), OID: c.u32()}
	m.Schema = string(c.text())
	if m.Schema == "" {
		m.Schema = "pg_catalog" // which the protocol writes as an empty string
	}
	m.Name = string(c.text())
	m.Identity = change.Identity(c.u8())
	n := int(c.u16())
	if n*minColumn > len(c.b) {
		c.fail("it has more columns than bytes")
	}
	for range n {
		if c.problem != "" {
			break
		}
		m.Columns = append(m.Columns, RelationColumn{
			Key: c.u8()&1 != 0, Name: string(c.text()), Type: c.u32(), Mod: int32(c.u32()),
		})
	}
	return c.end("Relation")
}

// Type names a type that is not built in, before the Relation that uses it.
type Type struct {
	XID    uint32
	OID    uint32
	Schema []byte
	Name   []byte
}

// Decode reads the bytes after the kind.
func (m *Type) Decode(b []byte, streamed bool) error {
	c := cursor{b: b}
	*m = Type{XID: c.xid(streamed), OID: c.u32(), Schema: c.text(), Name: c.text()}
	return c.end("Type")
}
