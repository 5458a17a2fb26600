package pgoutput

import "github.com/sluicecdc/sluice/internal/change"

// Begin opens a transaction.
type Begin struct {
	Commit change.LSN // where its commit record starts
	Time   change.Micros
	XID    uint32
}

// Decode reads the bytes after the kind.
func (m *Begin) Decode(b []byte) error {
	c := cursor{b: b}
	*m = Begin{Commit: c.lsn(), Time: c.time(), XID: c.u32()}
	return c.end("Begin")
}

// Commit ends a transaction.
type Commit struct {
	Commit change.LSN // where the commit record starts, as in Begin
	End    change.LSN // where it ends
	Time   change.Micros
}

// Decode reads the bytes after the kind.
func (m *Commit) Decode(b []byte) error {
	c := cursor{b: b}
	c.u8() // flags, unused
	*m = Commit{Commit: c.lsn(), End: c.lsn(), Time: c.time()}
	return c.end("Commit")
}

// Origin says that the transaction was replicated to the source from elsewhere.
type Origin struct {
	Commit change.LSN // at the origin
	Name   []byte
}

// Decode reads the bytes after the kind.
func (m *Origin) Decode(b []byte) error {
	c := cursor{b: b}
	*m = Origin{Commit: c.lsn(), Name: c.text()}
	return c.end("Origin")
}
