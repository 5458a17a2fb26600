package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicecdc/sluice/sink"
)

// difference is between the shape that a destination table stands for and the one that it is to have.
type difference struct {
	t    *target
	was  *shape // nil when the table stood for none
	have relation
	mode sink.Evolve
	// old gives for each column of the table the one that it was; nil for a new one.
	old   []*shapeColumn
	steps []step
	// copied lists columns that were filled from the one that they were.
	copied map[int]bool
}

func newDifference(t *target, was *shape, have relation, mode sink.Evolve) *difference {
	d := &difference{t: t, was: was, have: have, mode: mode, old: make([]*shapeColumn, len(t.cols)), copied: map[int]bool{}}
	for i := range t.cols {
		d.old[i] = d.match(i)
	}
	return d
}

// match finds the column that column i was: by number, which a rename leaves; by name where a number is
// not known, in another table of the same name, and where the configuration gives the names.
func (d *difference) match(i int) *shapeColumn {
	if d.was == nil {
		return nil
	}
	c := &d.t.table.Columns[i]
	byName := c.Attnum == 0 || d.t.opt.Columns != nil || d.replaced()
	for k := range d.was.Columns {
		o := &d.was.Columns[k]
		if (byName || o.Attnum == 0) && o.Name == c.Name || !byName && o.Attnum == c.Attnum {
			return o
		}
	}
	return nil
}

// replaced tells whether the source's table is another one than before.
func (d *difference) replaced() bool {
	return d.was != nil && d.was.oid != 0 && d.t.table.OID != 0 && d.was.oid != d.t.table.OID
}

// ours tells whether the destination still has a column that we filled.
func (d *difference) ours(o *shapeColumn) bool {
	there, ok := d.have.columns[o.Name]
	return ok && there.number == o.At
}

// add takes a step that is allowed under the modes.
func (d *difference) add(sql, why string, modes ...sink.Evolve) {
	d.steps = append(d.steps, step{sql: sql, why: why, held: !slices.Contains(modes, d.mode)})
}

func (d *difference) alter(what string) string { return "ALTER TABLE " + d.t.name + " " + what }

// replaced empties a table whose source was dropped and created again: its rows are those of the
// dropped one.
func (s *Sink) replaced(ctx context.Context, d *difference) error {
	if !d.replaced() || d.t.opt.Shared {
		return nil
	}
	filled, err := s.filled(ctx, d)
	if err != nil || !filled {
		return err
	}
	why := "the source's table was dropped and created again, and the rows there belong to the dropped one"
	if d.t.opt.Deletes == Hard {
		d.add("DELETE FROM "+d.t.name, why, sink.EvolveAll)
	} else {
		d.add("DELETE FROM "+d.t.name, why+" (deletes is not hard)")
	}
	return nil
}

// columns compares the columns themselves.
func (s *Sink) columns(ctx context.Context, d *difference) error {
	if d.was != nil && d.t.opt.Columns == nil {
		d.gone()
		if err := s.renamed(ctx, d); err != nil {
			return err
		}
	}
	return s.added(ctx, d)
}

// gone looks at columns that the source dropped.
func (d *difference) gone() {
	for k := range d.was.Columns {
		o := &d.was.Columns[k]
		if slices.Contains(d.old, o) || !d.ours(o) || d.doubtful() {
			continue
		}
		why := "the source dropped column " + ident(o.Name)
		switch {
		case d.mode != sink.EvolveAdd:
			d.add(d.alter("DROP COLUMN "+ident(o.Name)), why, sink.EvolveAll)
		case d.have.columns[o.Name].required && !slices.Contains(d.was.Key, o.Name):
			d.add(d.alter("ALTER COLUMN "+ident(o.Name)+" DROP NOT NULL"), why, sink.EvolveAdd)
		}
	}
	for k := range d.was.Left {
		if o := &d.was.Left[k]; d.mode != sink.EvolveAdd && d.ours(o) && d.t.synced(o.Name) {
			d.add(d.alter("DROP COLUMN "+ident(o.Name)), "column "+ident(o.Name)+" is left over from one that the source has no more", sink.EvolveAll)
		}
	}
}

// moves lists the columns that have another name now and stand under the old one still.
func (d *difference) moves() (at []int) {
	for i, o := range d.old {
		if o != nil && o.Name != d.t.cols[i].name && d.ours(o) {
			at = append(at, i)
		}
	}
	return at
}

func (s *Sink) renamed(ctx context.Context, d *difference) error {
	moves := d.moves()
	// Names that go round take a way through names that nobody has.
	round := slices.ContainsFunc(moves, func(i int) bool {
		return slices.ContainsFunc(moves, func(k int) bool { return d.old[k].Name == d.t.cols[i].name })
	})
	if d.mode == sink.EvolveAdd && !round {
		return s.copied(ctx, d, moves)
	}
	from := make([]string, len(moves))
	for n, i := range moves {
		from[n] = ident(d.old[i].Name)
		if round {
			through := ident("sluice_" + strconv.Itoa(d.old[i].At))
			d.add(d.alter("RENAME COLUMN "+from[n]+" TO "+through), "", sink.EvolveAll)
			from[n] = through
		}
	}
	for n, i := range moves {
		d.add(d.alter("RENAME COLUMN "+from[n]+" TO "+d.t.cols[i].quoted), d.renaming(i), sink.EvolveAll)
	}
	return nil
}

func (d *difference) renaming(i int) string {
	return "the source renamed column " + ident(d.old[i].Name) + " to " + d.t.cols[i].quoted
}

// copied gives renamed columns their values under the new name too, and leaves the old.
func (s *Sink) copied(ctx context.Context, d *difference, moves []int) error {
	set := ""
	for _, i := range moves {
		o, c := d.old[i], &d.t.cols[i]
		want, err := s.typeFor(ctx, d.t.table.Columns[i].Type.Name)
		if err != nil {
			return err
		}
		there, taken := d.have.columns[c.name]
		left := slices.ContainsFunc(d.was.Left, func(l shapeColumn) bool { return l.Name == c.name && l.At == there.number })
		rename := d.alter("RENAME COLUMN " + ident(o.Name) + " TO " + c.quoted)
		switch {
		case slices.Contains(d.was.Key, o.Name):
			d.add(rename, d.renaming(i)+", of the key")
			continue
		case taken && !(left && there.full == want):
			d.add(d.alter("RENAME COLUMN "+c.quoted+" TO "+ident(c.name+"_old")), d.renaming(i)+", and a column of that name is there")
			continue
		case !widens(o.Type, d.t.table.Columns[i].Type.Name, o.Label):
			d.add(rename, d.renaming(i)+" and changed its type from "+o.Type+" to "+d.t.table.Columns[i].Type.Name)
			continue
		case !taken:
			d.add(d.alter("ADD COLUMN "+c.quoted+" "+want), d.renaming(i), sink.EvolveAdd)
		}
		if d.have.columns[o.Name].required {
			d.add(d.alter("ALTER COLUMN "+ident(o.Name)+" DROP NOT NULL"), "", sink.EvolveAdd)
		}
		d.copied[i] = true
		if set != "" {
			set += ", "
		}
		set += c.quoted + " = " + ident(o.Name)
		if d.have.columns[o.Name].full != want {
			set += "::" + want
		}
	}
	if set != "" {
		d.add("UPDATE "+d.t.name+" SET "+set, "", sink.EvolveAdd)
	}
	return nil
}

// added looks at columns that the destination lacks, those of a soft delete too.
func (s *Sink) added(ctx context.Context, d *difference) error {
	for i := range d.t.cols {
		if err := s.addColumn(ctx, d, i); err != nil {
			return err
		}
	}
	for _, c := range d.t.opt.Soft {
		if _, ok := d.have.columns[c.Column]; !ok && !d.t.synced(c.Column) {
			d.add(d.alter("ADD COLUMN "+c.sql()), "column "+ident(c.Column)+" of the soft delete is not there", d.adding()...)
		}
	}
	return nil
}

// adding gives the modes in which columns are added: in none where the configuration lists them.
func (d *difference) adding() []sink.Evolve {
	if d.t.opt.Columns != nil && !d.t.opt.Shared {
		return nil
	}
	return []sink.Evolve{sink.EvolveAdd, sink.EvolveAll}
}

func (s *Sink) addColumn(ctx context.Context, d *difference, i int) error {
	c := &d.t.cols[i]
	there, taken := d.have.columns[c.name]
	again := d.old[i] == nil && taken && d.was != nil && d.t.opt.Columns == nil && d.was.had(c.name, there.number)
	if d.copied[i] || d.old[i] != nil && slices.Contains(d.moves(), i) || taken && !again {
		return nil
	}
	def, err := s.columnSQL(ctx, d.t, i)
	if err != nil {
		return err
	}
	modes := d.adding()
	why := "it lacks column " + c.quoted
	switch {
	case d.old[i] != nil:
		modes, why = nil, why+", which somebody dropped: its values are to be copied again from the source"
	case again && d.mode == sink.EvolveAdd:
		modes, why = nil, "column "+c.quoted+" was dropped at the source and added as another"
		d.add(d.alter("DROP COLUMN "+c.quoted), why)
	}
	if d.unsure(i) {
		why, modes = d.doubt(i), nil
		if from := d.candidates(i); len(from) == 1 {
			d.add(d.alter("RENAME COLUMN "+ident(from[0].Name)+" TO "+c.quoted), why)
			return nil
		}
	}
	if at := d.t.table.Columns[i].Untold; at != 0 && d.was != nil {
		filled, err := s.filled(ctx, d)
		if err != nil {
			return err
		}
		if filled {
			why, modes = why+", and rows from before "+at.String()+" may have values in it that the log does not hold (a default, forgotten when the table was rewritten; source.ddl: trigger keeps such): copy them from the source after adding it", nil
		}
	}
	missing := d.t.table.Columns[i].Missing
	if missing == nil {
		d.add(d.alter("ADD COLUMN "+def), why, modes...)
		return nil
	}
	if err := s.allowDefault(ctx, d, i, modes); err != nil {
		return err
	}
	d.add(d.alter("ADD COLUMN "+def+" DEFAULT "+literal(*missing)), why, modes...)
	d.add(d.alter("ALTER COLUMN "+c.quoted+" DROP DEFAULT"), "", modes...)
	return nil
}

// unsure tells whether a new column may be one that was there, under another name.
func (d *difference) unsure(i int) bool {
	return d.old[i] == nil && len(d.candidates(i)) > 0
}

// doubtful tells whether a column that is missing at the destination may be one that is there.
func (d *difference) doubtful() bool {
	for i := range d.t.cols {
		if _, there := d.have.columns[d.t.cols[i].name]; !there && d.unsure(i) {
			return true
		}
	}
	return false
}

// candidates are the columns that are gone, as far as is known, and may be column i: the number of one of
// the two is not known.
func (d *difference) candidates(i int) (out []*shapeColumn) {
	if d.was == nil || d.t.opt.Columns != nil || d.replaced() {
		return nil
	}
	for k := range d.was.Columns {
		o := &d.was.Columns[k]
		if (o.Attnum == 0 || d.t.table.Columns[i].Attnum == 0) && !slices.Contains(d.old, o) && d.ours(o) {
			out = append(out, o)
		}
	}
	return out
}

func (d *difference) doubt(i int) string {
	var names []string
	for _, o := range d.candidates(i) {
		names = append(names, ident(o.Name))
	}
	return "the log does not tell whether column " + d.t.cols[i].quoted + " is a new one or " + strings.Join(names, " or ") +
		" under another name (capture read the change after later statements had run): rename that column, or add this one, whichever is true at the source"
}

// filled tells whether the destination table has rows.
func (s *Sink) filled(ctx context.Context, d *difference) (bool, error) {
	rows, err := s.query(ctx, "SELECT EXISTS (SELECT FROM "+d.t.name+")")
	return err == nil && string(rows[0][0]) == "t", err
}

// had tells whether a column of the destination was ours.
func (sh *shape) had(name string, number int) bool {
	ours := func(c shapeColumn) bool { return c.Name == name && c.At == number }
	return slices.ContainsFunc(sh.Columns, ours) || slices.ContainsFunc(sh.Left, ours)
}
