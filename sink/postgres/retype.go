package postgres

import (
	"context"
	"slices"

	"github.com/sluicecdc/sluice/sink"
)

// types compares the types of columns that stayed.
func (s *Sink) types(ctx context.Context, d *difference) error {
	for i, o := range d.old {
		if o == nil || d.copied[i] {
			continue
		}
		if untold := d.t.table.Columns[i].Untold; untold != 0 && untold != o.Untold {
			if err := s.recomputed(ctx, d, i); err != nil {
				return err
			}
			continue
		}
		if o.Type == d.t.table.Columns[i].Type.Name {
			continue
		}
		if err := s.retype(ctx, d, i); err != nil {
			return err
		}
	}
	return nil
}

// recomputed holds the sink at a statement that gave the rows that are there other values, by an expression
// or a default of its own.
func (s *Sink) recomputed(ctx context.Context, d *difference, i int) error {
	filled, err := s.filled(ctx, d)
	if err != nil {
		return err
	}
	c, is := &d.t.cols[i], d.t.table.Columns[i]
	want, err := s.typeFor(ctx, is.Type.Name)
	if err != nil {
		return err
	}
	why := "a statement at " + is.Untold.String() + " gave the source's rows new values in column " + c.quoted + " that the log does not hold: copy them from the source"
	alter := d.alter("ALTER COLUMN " + c.quoted + " TYPE " + want + " USING " + c.quoted + "::text::" + want)
	switch {
	case d.have.columns[c.name].full != want && filled:
		d.add(alter, why+", and make it "+want)
		d.add(s.unremember(d.t), "")
	case d.have.columns[c.name].full != want:
		d.add(alter, why, sink.EvolveAdd, sink.EvolveAll)
	case filled:
		d.add(s.unremember(d.t), why+" first")
	}
	return nil
}

// retype compares three types: what the column was at the source, what it is there now, and what the
// destination has, which may be one of its owner's choice.
func (s *Sink) retype(ctx context.Context, d *difference, i int) error {
	o, is, c := d.old[i], d.t.table.Columns[i].Type.Name, &d.t.cols[i]
	there, ok := d.have.columns[o.Name]
	if !ok || there.number != o.At {
		there = d.have.columns[c.name] // renamed by hand
	}
	want, err := s.typeFor(ctx, is)
	if err != nil {
		return err
	}
	had, err := s.typeFor(ctx, o.Type)
	if err != nil {
		return err
	}
	why := "column " + c.quoted + " was " + o.Type + " at the source and is " + is
	to := "ALTER COLUMN " + c.quoted + " TYPE " + want
	switch {
	case there.full == want && want != had:
	case (there.full != had || want == had) && keepsText(o.Type, is, o.Label):
		if there.full != "text" && !widens(is, there.full, false) {
			d.add(d.alter(to), why+", and "+there.full+" there")
		}
	case want == had:
		d.add(s.unremember(d.t), why+", and "+want+" there: correct the values of the rows first")
	case there.full != had:
		d.add(d.alter(to+" USING "+c.quoted+"::"+want), why+", and "+there.full+" there")
	case widens(o.Type, is, o.Label):
		d.retypeArchive(to)
		d.add(d.alter(to), why, sink.EvolveAdd, sink.EvolveAll)
	default:
		d.retypeArchive(to + " USING " + c.quoted + "::text::" + want)
		d.add(d.alter(to+" USING "+c.quoted+"::text::"+want), why, sink.EvolveAll)
		d.steps[len(d.steps)-1].changes = "SELECT FROM " + d.t.name + " WHERE " + c.quoted + "::text IS DISTINCT FROM " + c.quoted + "::text::" + want + "::text LIMIT 1"
	}
	return nil
}

// key compares how rows are found. The columns of the old key have their new names by now.
func (s *Sink) key(ctx context.Context, d *difference) error {
	if d.was == nil {
		return nil
	}
	was, is := d.keys()
	if slices.Equal(was, is) {
		return nil
	}
	primary, err := s.primaryKey(ctx, d.t.name)
	if err != nil {
		return err
	}
	if len(is) == 0 {
		if primary != "" {
			d.add(d.alter("DROP CONSTRAINT "+primary), "the source's table has no key any more", sink.EvolveAll)
			d.loosen(was)
		}
		return nil
	}
	if ok, err := s.unique(ctx, d.t); ok || err != nil {
		return err
	}
	why := "rows are told apart by (" + d.t.keyList("") + ") now"
	if primary != "" {
		d.add(d.alter("DROP CONSTRAINT IF EXISTS "+primary), why, sink.EvolveAll)
		d.loosen(was)
	}
	d.add(d.alter("ADD PRIMARY KEY ("+d.t.keyList("")+")"), why, sink.EvolveAll)
	return nil
}

// keys gives the columns of the old and the new key, sorted, under the names of today.
func (d *difference) keys() (was, is []string) {
	for _, name := range d.was.Key {
		for i, o := range d.old {
			if o != nil && o.Name == name {
				name = d.t.cols[i].name
				break
			}
		}
		was = append(was, name)
	}
	for _, k := range d.t.key {
		is = append(is, d.t.cols[k].name)
	}
	slices.Sort(was)
	slices.Sort(is)
	return was, is
}

// loosen lets columns that were in the key hold NULL.
func (d *difference) loosen(was []string) {
	for i := range d.t.cols {
		if c := &d.t.cols[i]; slices.Contains(was, c.name) && !d.t.inKey(i) {
			d.add(d.alter("ALTER COLUMN "+c.quoted+" DROP NOT NULL"), "", sink.EvolveAll)
		}
	}
}

// primaryKey gives the name of a table's primary key, quoted; "" when it has none.
func (s *Sink) primaryKey(ctx context.Context, table string) (string, error) {
	rows, err := s.query(ctx, `SELECT conname FROM pg_catalog.pg_constraint WHERE conrelid = pg_catalog.to_regclass($1) AND contype = 'p'`, table)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return ident(string(rows[0][0])), nil
}

// retypeArchive lets the archive hold what the table does.
func (d *difference) retypeArchive(to string) {
	if o := d.t.opt; o.Deletes == Archive {
		d.add("ALTER TABLE "+qualified(o.ArchiveSchema, o.ArchiveName)+" "+to, "", sink.EvolveAdd, sink.EvolveAll)
	}
}
