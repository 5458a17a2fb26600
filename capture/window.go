package capture

import (
	"fmt"

	"github.com/sluicecdc/sluice/capture/snapshot"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas/avro"
)

// passed is a transaction that was published.
type passed struct {
	xid    uint32
	commit change.LSN
}

// seenBy tells whether a snapshot sees it. Its commit record begins at commit and is whole before any
// position that lies beyond.
func (p passed) seenBy(v *snapshot.View) bool { return v.Sees(p.xid, p.commit+1) }

// window is open from before a part of a table is read until it is published: it holds the keys of the
// table that the stream has published meanwhile. Those that the reading did not see yet are left out of
// what was read, since Kafka has newer records of them.
type window struct {
	keys *keys
	// before are the transactions that were published when the window was opened and that other sessions
	// may not have seen yet: a commit is in the log a moment before it is visible, and long before where a
	// synchronous standby is waited for. The reading must see them.
	before []passed

	xids    []passed
	changed map[string]int // the last of xids that changed a key
	emptied int            // the last of xids that emptied the table; -1 for none
}

func newWindow(k *keys, before []passed) *window {
	return &window{keys: k, before: before, changed: map[string]int{}, emptied: -1}
}

// fits tells whether a reading with this snapshot has all that was published before the window.
func (w *window) fits(v *snapshot.View) bool {
	for _, p := range w.before {
		if !p.seenBy(v) {
			return false
		}
	}
	return true
}

// note takes a change of the table by the transaction at hand.
func (w *window) note(p passed, c *change.Change) error {
	if n := len(w.xids); n == 0 || w.xids[n-1] != p {
		w.xids = append(w.xids, p)
	}
	at := len(w.xids) - 1
	if c.Op == change.Truncate {
		w.emptied = at
		return nil
	}
	row := c.After
	if c.Op == change.Delete {
		row = c.Before
	}
	key, err := w.keys.of(c.Table, row)
	if err != nil || key == nil {
		return err
	}
	w.changed[string(key)] = at
	return nil
}

// newer tells whether the stream has published something of the row that the snapshot does not see. A
// transaction that changed a row after another did so when the other could be seen, so that the last one
// decides.
func (w *window) newer(v *snapshot.View, t *change.Table, row change.Row) (bool, error) {
	if w.emptied >= 0 && !w.xids[w.emptied].seenBy(v) {
		return true, nil
	}
	if len(w.changed) == 0 {
		return false, nil
	}
	key, err := w.keys.of(t, row)
	if err != nil {
		return false, err
	}
	at, is := w.changed[string(key)]
	return is && !w.xids[at].seenBy(v), nil
}

// since tells whether a transaction that committed at lsn or later has changed the table.
func (w *window) since(lsn change.LSN) bool {
	n := len(w.xids)
	return n > 0 && w.xids[n-1].commit >= lsn
}

// keys gives the keys of a table's rows as bytes that do not depend on the form in which a row came.
type keys struct {
	encoders map[*change.Table]*avro.Encoder
	buf      []byte
}

func newKeys() *keys { return &keys{encoders: map[*change.Table]*avro.Encoder{}} }

// of gives a row's key, nil for a table without one. It is valid until the next call.
func (k *keys) of(t *change.Table, row change.Row) ([]byte, error) {
	if len(t.Key) == 0 {
		return nil, nil
	}
	e := k.encoders[t]
	if e == nil {
		var err error
		if e, err = avro.NewEncoder(avro.Options{Topic: "key", Table: t}); err != nil {
			return nil, fatal(fmt.Errorf("cannot compare the keys of %s: %w", t.QualifiedName(), err))
		}
		k.encoders[t] = e
	}
	var err error
	if k.buf, err = e.Key(k.buf[:0], row); err != nil {
		return nil, fatal(fmt.Errorf("cannot compare the keys of %s: %w", t.QualifiedName(), err))
	}
	return k.buf, nil
}

// forget drops what was compiled for versions of the past.
func (k *keys) forget() { clear(k.encoders) }
