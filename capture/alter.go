package capture

import (
	"context"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
)

// apart says why a table has no records.
func (st *stage) apart(r *relation) string {
	why := "is not covered by source.tables"
	if captures(st.cfg.Tables, &change.Table{Schema: r.Schema, Name: r.Name}) {
		why = r.unusable()
	}
	return "table " + nameOf(r) + " is not captured: it " + why
}

func (st *stage) alterTable(ctx context.Context, d *ddl, out *Rehearsal) error {
	if d.has("if") && len(st.lookUp(d.names[0])) == 0 {
		out.Notes = append(out.Notes, "there is no table "+d.names[0].String()+": nothing happens")
		return nil
	}
	r, err := st.find(d.names[0])
	if err != nil {
		return err
	}
	if q, ok := d.partition("attach"); ok {
		return st.attach(ctx, r, q, d, out)
	}
	if q, ok := d.partition("detach"); ok {
		return st.detach(ctx, r, q, out)
	}
	if name, ok := d.renamed(); ok {
		return st.move(ctx, r, r.Schema, name, out)
	}
	if schema, ok := d.newSchema(); ok {
		return st.move(ctx, r, schema, r.Name, out)
	}
	return st.alter(ctx, r, d, out)
}

// move gives a table another name: nothing else changes, but who captures it.
func (st *stage) move(ctx context.Context, r *relation, schema, name string, out *Rehearsal) error {
	if other := st.lookUp(objectName{schema, name}); len(other) > 0 {
		return unfit("there is a table %s already", nameOf(other[0]))
	}
	was := st.captures(r)
	before, err := st.state(ctx, r)
	if err != nil {
		return err
	}
	if in := st.standIns[r.OID]; in != nil && in.name != name {
		if err := st.run(ctx, "ALTER TABLE "+in.sql()+" RENAME TO "+quote(name)); err != nil {
			return err
		}
		in.name = name
	}
	r.Schema, r.Name = schema, name
	after := st.renamedState(before, r)
	if in := st.standIns[r.OID]; in != nil {
		in.now = after
	}
	switch {
	case was:
		c := TableChange{Before: before, After: after, Captured: st.captures(r)}
		c.fault(st.clash(r))
		out.Tables = append(out.Tables, c)
	case st.captures(r):
		return st.arrive(ctx, r, false, out)
	case r.Partition:
		out.Notes = append(out.Notes, nameOf(r)+" is a partition: its rows go on to come under the name of the partitioned table")
	default:
		out.Notes = append(out.Notes, st.apart(r))
	}
	return nil
}

func (st *stage) renamedState(before *TableState, r *relation) *TableState {
	after, table := *before, *before.Table
	table.Schema, table.Name = r.Schema, r.Name
	after.Table = &table
	if after.Fault != "" {
		after.Fix = r.identityFix()
	}
	return &after
}

// arrive says what it means that a table is captured from now on. at tells whether the event trigger publishes
// it with the statement.
func (st *stage) arrive(ctx context.Context, r *relation, at bool, out *Rehearsal) error {
	state, err := st.state(ctx, r)
	if err != nil {
		return err
	}
	c := TableChange{After: state, Captured: true}
	c.fault(st.clash(r))
	rows, err := st.hasRows(ctx, r)
	switch {
	case err != nil:
		return err
	case rows:
		c.Reread = append(c.Reread, "the rows that it has are not in the log that capture reads")
	case at && state.Fault == "":
		c.Notes = append(c.Notes, "the event trigger of source.ddl publishes it with the statement: all its rows are captured")
	default:
		c.Notes = append(c.Notes, "capture finds it within 10 s: rows that are written before that are not in Kafka")
	}
	out.Tables = append(out.Tables, c)
	return nil
}

func (c *TableChange) fault(what string) {
	if what != "" {
		c.Faults = append(c.Faults, what)
	}
}

// alter has a stand-in take what a table is to take.
func (st *stage) alter(ctx context.Context, r *relation, d *ddl, out *Rehearsal) error {
	was := st.captures(r)
	if d.uses("set", "logged") && r.Persistence == "u" {
		r.Persistence = "p"
	}
	switch {
	case !was && st.captures(r):
		return st.arrive(ctx, r, false, out)
	case !was && !r.Partition:
		out.Notes = append(out.Notes, st.apart(r))
		return nil
	case d.uses("set", "unlogged"):
		return unfit("PostgreSQL refuses it while %s is in publication %s: an unlogged table has no changes in the log", nameOf(r), st.cfg.Publication)
	}
	return st.with(ctx, r, out, func(in *standIn) (string, map[string]bool) {
		actions := strings.Join(d.shown(), "\n, ") // a comment may stand behind each
		if actions == "" {
			return "", nil
		}
		return "ALTER TABLE " + in.sql() + " " + withoutReferences(actions), d.computed()
	})
}

// with runs the statement that sql makes for the stand-in of a table, and compares. An empty one is not
// run. sql also says which columns get values by an expression.
func (st *stage) with(ctx context.Context, r *relation, out *Rehearsal, sql func(*standIn) (string, map[string]bool)) error {
	in, err := st.standIn(ctx, r)
	if err != nil {
		return err
	}
	before := in.now
	statement, computed := sql(in)
	if statement != "" {
		if err := st.run(ctx, statement); err != nil {
			return err
		}
		if err := in.look(ctx); err != nil {
			return st.source.explainStandIn(r, err)
		}
	}
	if r.Partition {
		return st.below(ctx, r, out)
	}
	c := comparison{present: in.was, before: before, after: in.now, rewritten: in.rewritten, computed: computed, trigger: st.cfg.DDL == DDLTrigger}
	if c.constant, err = st.constants(ctx, &c); err != nil {
		return err
	}
	out.Tables = append(out.Tables, TableChange{Before: before, After: in.now, Captured: true, Reread: c.reread(), Untold: c.untold(), Notes: c.forgotten()})
	return nil
}

// below says what a partition means to the table that it is a part of.
func (st *stage) below(ctx context.Context, r *relation, out *Rehearsal) error {
	root, err := st.root(ctx, r)
	if err != nil {
		return err
	}
	if !st.captures(root) {
		out.Notes = append(out.Notes, nameOf(r)+" is a partition of "+nameOf(root)+", which is not captured: no record changes")
		return nil
	}
	state, err := st.state(ctx, r)
	if err != nil {
		return err
	}
	c, err := st.asItIs(ctx, root)
	if err != nil {
		return err
	}
	c.Notes = append(c.Notes, "rows of partition "+nameOf(r)+" come under the name of "+nameOf(root))
	if state.Fault != "" {
		c.fault("partition " + nameOf(r) + " has no usable replica identity: the application's own UPDATE and DELETE of its rows would fail; run with it: " + state.Fix)
	}
	out.Tables = append(out.Tables, c)
	return nil
}

// asItIs is a table whose records stay as they are.
func (st *stage) asItIs(ctx context.Context, r *relation) (TableChange, error) {
	state, err := st.state(ctx, r)
	return TableChange{Before: state, After: state, Captured: true}, err
}

// constants tells which defaults of new columns are the same for every row.
func (st *stage) constants(ctx context.Context, c *comparison) (map[string]bool, error) {
	same := map[string]bool{}
	for i := range c.after.Columns {
		col := &c.after.Columns[i]
		if col.Default == "" || col.Filled || c.old(col) != nil || col.Generated || strings.HasPrefix(col.Default, "GENERATED") {
			continue
		}
		filled, err := st.fills(ctx, col)
		if err != nil {
			return nil, err
		}
		same[col.Name] = filled
	}
	return same, nil
}

// fills tries a default on a table that nothing else happens to.
func (st *stage) fills(ctx context.Context, c *CatalogueColumn) (filled bool, err error) {
	const look = "SELECT atthasmissing FROM pg_attribute WHERE attrelid = 'pg_temp.sluice_default'::regclass AND attnum = 1"
	for _, sql := range []string{"CREATE TEMPORARY TABLE pg_temp.sluice_default ()", "ALTER TABLE pg_temp.sluice_default ADD c " + c.Type + " DEFAULT " + c.Default} {
		if err := st.run(ctx, sql); err != nil {
			return false, err
		}
	}
	if err := st.tx.QueryRow(ctx, look).Scan(&filled); err != nil {
		return false, statementFault(err)
	}
	return filled, st.run(ctx, "DROP TABLE pg_temp.sluice_default")
}
