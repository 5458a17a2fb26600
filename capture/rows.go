package capture

import (
	"bytes"
	"context"
	"fmt"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

func (d *decoder) onInsert(ctx context.Context, b []byte) error {
	m := &d.insert
	if err := m.Decode(b, false); err != nil {
		return fatal(err)
	}
	s, err := d.shapes.row(m.Relation, m.New)
	if err == nil && s.compute != nil {
		_, err = d.compute(ctx, s, nil, &m.New)
	}
	if err != nil {
		return err
	}
	s.inserts++
	d.change = change.Change{Op: change.Create, Table: s.table, LSN: d.change.LSN, After: m.New}
	return d.emit(ctx, &d.change)
}

func (d *decoder) onDelete(ctx context.Context, b []byte) error {
	m := &d.delete
	if err := m.Decode(b, false); err != nil {
		return fatal(err)
	}
	s, err := d.shapes.row(m.Relation, m.Old)
	if err == nil && s.compute != nil {
		_, err = d.compute(ctx, s, &m.Old, nil)
	}
	if err != nil {
		return err
	}
	s.deletes++
	d.change = change.Change{Op: change.Delete, Table: s.table, LSN: d.change.LSN, Before: m.Old, BeforeKind: m.Before}
	s.trimKey(m.Before, m.Old)
	return d.emit(ctx, &d.change)
}

func (d *decoder) onUpdate(ctx context.Context, b []byte) error {
	m := &d.update
	if err := m.Decode(b, false); err != nil {
		return fatal(err)
	}
	s, err := d.shapes.row(m.Relation, m.New)
	if err != nil {
		return err
	}
	s.updates++
	if m.Before != change.BeforeNone && len(m.Old) != len(m.New) {
		return fatal(fmt.Errorf("cannot read an update of %s: its old row has %d columns, its new one %d", s.table.QualifiedName(), len(m.Old), len(m.New)))
	}
	var whole []change.Value
	if s.lacks(pgoutput.KindUpdate) || s.compute != nil {
		if whole, err = d.compute(ctx, s, &m.Old, &m.New); err != nil {
			return err
		}
	}
	c := &d.change
	*c = change.Change{Op: change.Update, Table: s.table, LSN: c.LSN, After: m.New}
	if m.Before != change.BeforeNone {
		s.trimKey(m.Before, m.Old)
		fillUnchanged(m.New, m.Old)
	}
	complete(m.New, whole)
	if m.Before == change.BeforeNone {
		return d.emit(ctx, c)
	}
	if s.keyChanged(m.Old, m.New) {
		return d.split(ctx, s.table)
	}
	// An old key that is equal travels only because it is stored out of line: the update left the
	// identity alone.
	if m.Before == change.BeforeFull {
		c.Before, c.BeforeKind = m.Old, m.Before
	}
	return d.emit(ctx, c)
}

// split hands a key change over as delete(old) and create(new), each with the other's key.
func (d *decoder) split(ctx context.Context, t *change.Table) error {
	m, lsn := &d.update, d.change.LSN
	d.change = change.Change{Op: change.Delete, Table: t, LSN: lsn, Before: m.Old, BeforeKind: m.Before, OtherKey: m.New}
	if err := d.emit(ctx, &d.change); err != nil {
		return err
	}
	d.change = change.Change{Op: change.Create, Table: t, LSN: lsn, After: m.New, OtherKey: m.Old}
	return d.emit(ctx, &d.change)
}

// fillUnchanged takes values that the log left out of the new row from the old one, where it has
// them: all of them with REPLICA IDENTITY FULL, those of the key otherwise.
func fillUnchanged(to, from change.Row) {
	for i := range to {
		if to[i].Format != change.Unchanged {
			continue
		}
		if f := from[i].Format; f == change.Text || f == change.Binary {
			to[i] = from[i]
		}
	}
}

// complete puts what was read in the place of what did not travel.
func complete(row change.Row, read []change.Value) {
	for i := range read {
		if read[i].Format != change.Absent && row[i].Format == change.Unchanged {
			row[i] = read[i]
		}
	}
}

// trimKey marks what is not part of an old key: the log sends it as NULL, which it need not be.
func (s *shape) trimKey(kind change.BeforeKind, old change.Row) {
	if kind != change.BeforeKey {
		return
	}
	for i := range old {
		if !s.identity[i] {
			old[i] = change.Value{}
		}
	}
}

// keyChanged compares the record key, byte by byte: both rows are in one format. A table without a
// key has nothing that could change.
func (s *shape) keyChanged(before, after change.Row) bool {
	for _, k := range s.table.Key {
		if before[k].Format != after[k].Format || !bytes.Equal(before[k].Data, after[k].Data) {
			return true
		}
	}
	return false
}

// describe names a change for an error.
func describe(c *change.Change) string {
	if c.Table == nil {
		return "the logical messages with prefix " + c.Prefix
	}
	return c.Table.QualifiedName() + " (op " + c.Op.String() + ")"
}
