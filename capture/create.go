package capture

import (
	"context"
	"fmt"
)

func (st *stage) createTable(ctx context.Context, d *ddl, out *Rehearsal) error {
	n := d.names[0]
	if n.schema == "" {
		if err := st.tx.QueryRow(ctx, "SELECT coalesce(current_schema(), 'public')").Scan(&n.schema); err != nil {
			return fmt.Errorf("cannot ask for the schema of new tables: %w", err)
		}
	}
	switch there := len(st.lookUp(n)) > 0; {
	case there && d.has("if"):
		out.Notes = append(out.Notes, "there is a table "+n.String()+" already: nothing happens")
		return nil
	case there:
		return unfit("there is a table %s already", n)
	}
	if parent, rest, ok, err := st.parentOf(d); ok || err != nil {
		return st.createPartition(ctx, n, parent, rest, err, out)
	}
	r, err := st.create(ctx, n, withoutReferences(withoutRows(d)))
	if err != nil {
		return err
	}
	r.Persistence = persistence(d)
	if st.captures(r) {
		return st.arrive(ctx, r, st.cfg.DDL == DDLTrigger && !d.queries(), out)
	}
	out.Notes = append(out.Notes, st.apart(r))
	return nil
}

// create makes a table in the place of one that is to be.
func (st *stage) create(ctx context.Context, n objectName, tail string) (*relation, error) {
	if err := st.free(n.name); err != nil {
		return nil, err
	}
	r := &relation{Schema: n.schema, Name: n.name, Persistence: "p", Readable: true, SchemaUsage: true}
	in := &standIn{source: st.source, tx: st.tx, of: r, name: n.name}
	if err := st.run(ctx, "CREATE TEMPORARY TABLE "+in.sql()+" "+tail); err != nil {
		return nil, err
	}
	if err := st.tx.QueryRow(ctx, "SELECT $1::regclass::oid", in.sql()).Scan(&r.OID); err != nil {
		return nil, fmt.Errorf("cannot look at the stand-in for %s: %w", r.sql(), err)
	}
	if err := in.look(ctx); err != nil {
		return nil, err
	}
	st.tables = append(st.tables, r)
	st.standIns[r.OID] = in
	return r, nil
}

// parentOf reads PARTITION OF.
func (st *stage) parentOf(d *ddl) (parent *relation, rest string, is bool, err error) {
	s, is := d.begins("partition", "of")
	if !is {
		return nil, "", false, nil
	}
	n, err := s.name()
	if err == nil {
		parent, err = st.find(n)
	}
	return parent, s.rest, true, err
}

func (st *stage) createPartition(ctx context.Context, n objectName, parent *relation, rest string, err error, out *Rehearsal) error {
	if err != nil {
		return err
	}
	in, err := st.parted(ctx, parent)
	if err != nil {
		return err
	}
	q, err := st.create(ctx, n, "PARTITION OF "+in.sql()+" "+rest)
	if err != nil {
		return err
	}
	q.Partition, st.parents[q.OID] = true, parent
	return st.below(ctx, q, out)
}

func persistence(d *ddl) string {
	switch {
	case d.has("unlogged"):
		return "u"
	case d.has("temp") || d.has("temporary"):
		return "t"
	}
	return "p"
}

// withoutRows has CREATE TABLE ... AS make the table without running the query.
func withoutRows(d *ddl) string {
	if !d.queries() {
		return d.tail
	}
	s := scanner{d.tail}
	for s.blank(); s.rest != ""; s.blank() {
		ahead := s
		if (ahead.skip("with", "data") || ahead.skip("with", "no", "data")) && ahead.token() == "" {
			break
		}
		s.token()
	}
	return d.tail[:len(d.tail)-len(s.rest)] + "\nWITH NO DATA" // behind a comment, too
}

// queries tells whether a CREATE TABLE takes its rows from a query.
func (d *ddl) queries() bool {
	s := scanner{d.tail}
	_, query := s.cut("as")
	return query != ""
}

// dropTables says what goes with tables, and with partitions.
func (st *stage) dropTables(ctx context.Context, d *ddl, out *Rehearsal) error {
	for _, n := range d.names {
		if d.has("if") && len(st.lookUp(n)) == 0 {
			out.Notes = append(out.Notes, "there is no table "+n.String()+": nothing happens")
			continue
		}
		r, err := st.find(n)
		if err != nil {
			return err
		}
		if err := st.drop(ctx, r, out); err != nil {
			return err
		}
	}
	return nil
}

func (st *stage) drop(ctx context.Context, r *relation, out *Rehearsal) error {
	switch {
	case r.Partition:
		if err := st.leave(ctx, r, "drop", out); err != nil {
			return err
		}
	case st.captures(r):
		before, err := st.state(ctx, r)
		if err != nil {
			return err
		}
		out.Tables = append(out.Tables, TableChange{Before: before})
	default:
		out.Notes = append(out.Notes, st.apart(r))
	}
	st.remove(r)
	if in := st.standIns[r.OID]; in != nil {
		delete(st.standIns, r.OID)
		return st.run(ctx, "DROP TABLE "+in.sql()+" CASCADE")
	}
	return nil
}
