package capture

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

// mostAhead bounds the rows that are asked for at once: a round trip is paid for by some tens of them.
const mostAhead = 256

// ahead gets what rows lack: generated columns that the log leaves out and, while a table is copied,
// TOASTed values that it did not send again. It walks the slab in front of the decoder, so that one round
// trip to the source serves many rows.
type ahead struct {
	shapes *shapes
	source *source
	unread func(t *change.Table, columns string, rows int)
	// lacking is told of a row of which only a later version than the log's is there, or none, at a position behind that.
	// It tells whether the later change will be looked at again, or what is there has to do.
	lacking func(oid uint32, at change.LSN) (again bool)

	queue []computed
	next  int // of queue

	asks    []ask
	rereads []reread
	xid     uint32 // of the transaction at hand
	arena   []byte // of values of queue

	insert pgoutput.Insert
	update pgoutput.Update
	delete pgoutput.Delete
}

// computed are the values of a message's rows; nil for a row that it does not have.
type computed struct {
	old, new []change.Value // of generated columns
	whole    []change.Value // by column of the table: values that the new row lacks; Absent ones are not known
}

// lacks tells whether messages of a table are looked at ahead.
func (s *shape) lacks(kind pgoutput.Kind) bool {
	return !s.outside && (s.compute != nil || s.copying && kind == pgoutput.KindUpdate)
}

// ask is a question about one row.
type ask struct {
	shape  *shape
	q      *question
	params [][]byte
	forms  []int16
	into   []change.Value // places of q.columns
}

func newAhead(s *shapes, unread func(*change.Table, string, int)) *ahead {
	return &ahead{shapes: s, source: s.catalogue.source, unread: unread}
}

// forget drops what was computed for rows that were not reached.
func (a *ahead) forget() { a.queue, a.next = a.queue[:0], 0 }

// compute completes the rows of a message, and gives what else of the new row was read.
func (d *decoder) compute(ctx context.Context, s *shape, old, new *change.Row) (whole []change.Value, err error) {
	var c computed
	if s.outside {
		none := make([]change.Value, len(s.compute.columns))
		c = computed{old: none, new: none}
	} else {
		a := d.ahead
		if a.next == len(a.queue) {
			if err := a.look(ctx, d.rest, d.group.XID); err != nil {
				return nil, err
			}
		}
		c = a.queue[a.next]
		a.next++
	}
	if s.compute == nil {
		return c.whole, nil
	}
	if old != nil && len(*old) > 0 {
		s.compute.spread(old, c.old)
	}
	if new != nil {
		s.compute.spread(new, c.new)
	}
	return c.whole, nil
}

// look walks frames that begin with the message at hand, up to the next description of a table.
func (a *ahead) look(ctx context.Context, b []byte, xid uint32) error {
	a.forget()
	if cap(a.arena) > slabBytes {
		a.arena = nil // large values were an exception
	}
	a.asks, a.rereads, a.arena, a.xid = a.asks[:0], a.rereads[:0], a.arena[:0], xid
	for len(b) > 0 && len(a.queue) < mostAhead {
		n := 1 + int(binary.BigEndian.Uint32(b[1:]))
		if body := b[frameHeader:n]; b[0] == 'd' && len(body) > walHeader && body[0] == 'w' {
			kind := pgoutput.Kind(body[walHeader])
			if kind == pgoutput.KindRelation {
				break
			}
			if err := a.message(kind, body[walHeader+1:]); err != nil {
				return err
			}
		}
		b = b[n:]
	}
	if err := a.answer(ctx, a.asks); err != nil {
		return err
	}
	return a.read(ctx)
}

func (a *ahead) message(kind pgoutput.Kind, b []byte) error {
	switch kind {
	case pgoutput.KindBegin:
		var m pgoutput.Begin
		if err := m.Decode(b); err != nil {
			return fatal(err)
		}
		a.xid = m.XID
	case pgoutput.KindInsert, pgoutput.KindUpdate, pgoutput.KindDelete:
		if len(b) < 4 {
			return nil // the decoder will say so
		}
		if s := a.shapes.byOID[binary.BigEndian.Uint32(b)]; s != nil && s.lacks(kind) {
			return a.rows(s, kind, b)
		}
	}
	return nil
}

// rows queues a message of a table that lacks something. What is wrong with it the decoder says.
func (a *ahead) rows(s *shape, kind pgoutput.Kind, b []byte) (err error) {
	var c computed
	switch kind {
	case pgoutput.KindInsert:
		if a.insert.Decode(b, false) == nil && len(a.insert.New) == len(s.columns) {
			c.new = a.want(s, a.insert.New, false)
		}
	case pgoutput.KindDelete:
		if a.delete.Decode(b, false) == nil && len(a.delete.Old) == len(s.columns) {
			c.old, err = a.wantOld(s, a.delete.Old, a.delete.Before)
		}
	default:
		m := &a.update
		if m.Decode(b, false) != nil || len(m.New) != len(s.columns) || m.Before != change.BeforeNone && len(m.Old) != len(m.New) {
			break
		}
		if m.Before != change.BeforeNone {
			fillUnchanged(m.New, m.Old)
			c.old, err = a.wantOld(s, m.Old, m.Before)
		}
		c.new = a.want(s, m.New, m.Before == change.BeforeKey && s.moved(m.Old, m.New))
		if s.copying {
			c.whole = a.wantWhole(s, m.New, c.new)
		}
	}
	a.queue = append(a.queue, c)
	return err
}

// moved tells whether an update changed the replica identity.
func (s *shape) moved(old, new change.Row) bool {
	for i, c := range s.columns {
		if c.Key && (old[i].Format != new[i].Format || string(old[i].Data) != string(new[i].Data)) {
			return true
		}
	}
	return false
}

// wantOld asks for the columns of an old row: of an old key, those that belong to the key.
func (a *ahead) wantOld(s *shape, row change.Row, kind change.BeforeKind) ([]change.Value, error) {
	if s.compute == nil {
		return nil, nil
	}
	if kind == change.BeforeFull {
		return a.want(s, row, false), nil
	}
	var keys []int
	for i, at := range s.compute.columns {
		if !s.identity[at] {
			continue
		}
		if slices.ContainsFunc(s.compute.inputs[i], func(in int) bool { return !s.columns[in].Key }) {
			return nil, fatal(fmt.Errorf("cannot know the key of a row of %s that was deleted or got another key: it has the generated column %s, which the log leaves out "+
				"with what it is computed from; run ALTER TABLE %s REPLICA IDENTITY FULL, and start over with a new slot (sluice teardown)",
				s.table.QualifiedName(), s.table.Columns[at].Name, quoteTable(s.table.Schema, s.table.Name)))
		}
		keys = append(keys, i)
	}
	into := make([]change.Value, len(s.compute.columns))
	a.ask(s, keys, row, into)
	return into, nil
}

// want asks for the columns of a row: the source computes them where all that they need has travelled.
// A column of which nothing changed is unchanged; one of which that cannot be told is read from the row
// as it is by now. So is one of a row that has moved to another key: the row of the old key may have
// been read too late.
func (a *ahead) want(s *shape, row change.Row, moved bool) []change.Value {
	if s.compute == nil {
		return nil
	}
	into := make([]change.Value, len(s.compute.columns))
	var known, unknown []int
	for i, inputs := range s.compute.inputs {
		toasted := 0
		for _, in := range inputs {
			if row[in].Format == change.Unchanged {
				toasted++
			}
		}
		switch {
		case toasted == 0:
			known = append(known, i)
			continue
		case toasted == len(inputs):
			into[i] = change.Value{Format: change.Unchanged}
			if !moved {
				continue
			}
		default:
			into[i] = change.Value{Format: change.Null}
		}
		unknown = append(unknown, i)
	}
	a.ask(s, known, row, into)
	if len(unknown) > 0 {
		r := reread{shape: s, row: slices.Clone(row), old: into, xid: a.xid}
		for _, i := range unknown {
			r.columns, r.into = append(r.columns, s.compute.columns[i]), append(r.into, &into[i])
		}
		a.rereads = append(a.rereads, r)
	}
	return into
}

// wantWhole asks for the values that a row lacks. The row may not be at a destination yet, which could then
// not keep what it has. Values of a later version are not wanted: with the others they would make a row that never was.
func (a *ahead) wantWhole(s *shape, row change.Row, generated []change.Value) []change.Value {
	r := reread{shape: s, old: generated, xid: a.xid}
	var into []change.Value
	logged := 0
	for i := range s.table.Columns {
		if s.table.Columns[i].Expression != nil {
			continue
		}
		if row[logged].Format == change.Unchanged {
			if into == nil {
				into = make([]change.Value, len(s.table.Columns))
			}
			r.columns, r.into = append(r.columns, i), append(r.into, &into[i])
		} else {
			r.logged = append(r.logged, place{i, logged})
		}
		logged++
	}
	if into != nil {
		r.row = slices.Clone(row)
		a.rereads = append(a.rereads, r)
	}
	return into
}

func (a *ahead) ask(s *shape, columns []int, row change.Row, into []change.Value) {
	if len(columns) == 0 {
		return
	}
	k := ask{shape: s, q: s.compute.question(columns), into: into}
	for _, i := range k.q.params {
		k.param(row[i])
	}
	a.asks = append(a.asks, k)
}

func (k *ask) param(v change.Value) {
	form := int16(0)
	if v.Format == change.Binary {
		form = 1
	}
	if v.Format == change.Text || v.Format == change.Binary {
		k.params = append(k.params, v.Data)
	} else {
		k.params = append(k.params, nil)
	}
	k.forms = append(k.forms, form)
}
