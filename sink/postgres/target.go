package postgres

import (
	"context"

	"github.com/sluicecdc/sluice/internal/change"
)

// target is one version of a source table, compiled for its destination table.
type target struct {
	table *change.Table
	opt   *Table
	dest  *dest
	name  string // the destination table in SQL
	cols  []column
	key   []int             // indexes into cols
	stmts map[string]string // prepared statements by kind and columns
	ints  bool              // the key is one integer: sort it as a number
	// narrow lists the columns whose values must be looked at.
	narrow []int
	// archive is the archive table in SQL, archived lists the columns that move to it, quoted.
	archive  string
	archived []string
	paths    []path // that deletions take; nil until they are asked for
}

// column is one destination column that is written, at the same index as in the table and its rows.
type column struct {
	name   string
	quoted string
	typ    string // the base type without modifier, for casts: with one, a cast would cut values short
	full   string // with it
	form   *form  // nil for a type that has none here
	// changes tells which values the column would round or cut; nil when there are none.
	changes changes
}

// dest is what all versions of a table share in a session.
type dest struct {
	current *target
	commit  change.LSN // of the last change that was planned
	// copies is false once COPY met a row that was there already: then creates are upserts at once.
	copies bool
}

// ready gives the compiled form of a table version when the destination table stands for it now. A table
// that several sources fill stands for a version of each.
func (s *Sink) ready(tb *change.Table) *target {
	t := s.targets[tb]
	if t == nil || !t.opt.Shared && t.dest.current != t {
		return nil
	}
	return t
}

// target gives the compiled form of a table version, making the destination table when it is absent and
// changing it to follow the source's. It must be called inside the transaction.
func (s *Sink) target(ctx context.Context, tb *change.Table) (*target, error) {
	if t := s.ready(tb); t != nil {
		return t, nil
	}
	opt := s.tables[tableID(tb.Schema, tb.Name)]
	if opt == nil {
		return nil, refuse("name it in tables of the sink", "the table %s is not configured", tb.QualifiedName())
	}
	t := &target{table: tb, opt: opt, name: qualified(opt.ToSchema, opt.ToName), stmts: map[string]string{}}
	if err := s.prepareTarget(ctx, t); err != nil {
		return nil, s.wrap(doUse, t.name, err)
	}
	if t.dest = s.dests[t.name]; t.dest == nil {
		t.dest = &dest{copies: true}
		s.dests[t.name] = t.dest
	}
	s.targets[tb], t.dest.current = t, t
	return t, nil
}

func (s *Sink) prepareTarget(ctx context.Context, t *target) error {
	if err := t.listColumns(); err != nil {
		return err
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	have, err := s.catalog(ctx, t.name)
	if err != nil {
		return err
	}
	made := have.kind == ""
	switch {
	case made && !s.o.Create:
		create, err := s.createSQL(ctx, t)
		if err != nil {
			return err
		}
		return refuse("run: "+create, "the table does not exist and create is false")
	case made:
		if err = s.createTable(ctx, t); err != nil {
			return err
		}
		if have, err = s.catalog(ctx, t.name); err != nil {
			return err
		}
	case have.kind != "r" && have.kind != "p":
		return refuse("give the name of a table", "it is not a table (relkind %s)", have.kind)
	}
	was, err := s.remembered(ctx, t)
	if err != nil {
		return err
	}
	if made {
		was = nil // it was another table's
	}
	if have, err = s.evolve(ctx, t, was, have); err != nil {
		return err
	}
	if err = s.adopt(ctx, t, have); err != nil {
		return err
	}
	if err = s.remember(ctx, t, was, have); err != nil {
		return err
	}
	if t.opt.Deletes == Archive {
		if err = s.prepareArchive(ctx, t); err != nil {
			return err
		}
	}
	return s.lockTarget(ctx, t)
}

// listColumns lists the columns to write.
func (t *target) listColumns() error {
	for _, c := range t.table.Columns {
		t.cols = append(t.cols, column{name: c.Name, quoted: ident(c.Name)})
	}
	if len(t.cols) == 0 {
		return refuse("leave the table out of the sink", "the source table %s has no columns", t.opt.From)
	}
	t.key = t.table.Key
	if len(t.key) == 1 {
		switch t.table.Columns[t.table.Key[0]].Type.Kind {
		case change.Int2, change.Int4, change.Int8, change.OID:
			t.ints = true
		}
	}
	return nil
}

// adopt takes the destination's types and makes sure that its rows can be found by key.
func (s *Sink) adopt(ctx context.Context, t *target, have relation) error {
	for i := range t.cols {
		c := have.columns[t.cols[i].name]
		if c.generated {
			return refuse("leave it out with columns of the table, or make it an ordinary column", "column %s is generated there", t.cols[i].quoted)
		}
		t.cols[i].typ, t.cols[i].full, t.cols[i].form = c.typ, c.full, forms[c.typ]
		if err := t.assignable(i); err != nil {
			return err
		}
		if t.cols[i].changes = narrow(c, t.table.Columns[i].Type); t.cols[i].changes != nil {
			t.narrow = append(t.narrow, i)
		}
	}
	if len(t.key) == 0 {
		return nil
	}
	ok, err := s.unique(ctx, t)
	if err != nil || ok {
		return err
	}
	return refuse("run: ALTER TABLE "+t.name+" ADD PRIMARY KEY ("+t.keyList("")+")", "it has no primary key or unique index on exactly (%s)", t.keyList(""))
}

func (t *target) keyList(prefix string) string {
	return list(t.key, ", ", func(_ int, k int) string { return prefix + t.cols[k].quoted })
}
