package capture

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// attach makes a table a partition, of stand-ins for both.
func (st *stage) attach(ctx context.Context, r *relation, n objectName, d *ddl, out *Rehearsal) error {
	q, err := st.find(n)
	if err != nil {
		return err
	}
	in, err := st.parted(ctx, r)
	if err != nil {
		return err
	}
	part, err := st.standIn(ctx, q)
	if err != nil {
		return err
	}
	rows, err := st.hasRows(ctx, q)
	if err != nil {
		return err
	}
	s, _ := d.begins("attach", "partition")
	if _, err := s.name(); err != nil {
		return err
	}
	if err := st.run(ctx, "ALTER TABLE "+in.sql()+" ATTACH PARTITION "+part.sql()+" "+s.rest); err != nil {
		return err
	}
	was := st.captures(q)
	q.Partition, st.parents[q.OID] = true, r
	if err := part.look(ctx); err != nil {
		return err
	}
	if err := st.below(ctx, q, out); err != nil || len(out.Tables) == 0 {
		return err
	}
	c := &out.Tables[len(out.Tables)-1]
	if rows {
		c.Reread = append(c.Reread, "the rows of "+nameOf(q)+" become rows of "+tableName(c)+", and the log does not say so")
	}
	if was {
		c.Notes = append(c.Notes, nameOf(q)+" was captured by itself: its own topic gets no more records, and where source.tables names it, capture does not start again until the name is taken out")
	}
	return nil
}

// parted gives the stand-in for a partitioned table, free to take partitions: without the one of ours, and
// without the checks in the place of foreign keys, which a partition would have to have.
func (st *stage) parted(ctx context.Context, r *relation) (*standIn, error) {
	if r.Kind != "p" {
		return nil, unfit("table %s is not partitioned", nameOf(r))
	}
	in, err := st.standIn(ctx, r)
	if err != nil {
		return nil, err
	}
	if _, err := st.tx.Exec(ctx, "DROP TABLE IF EXISTS "+in.probe()); err != nil {
		return nil, st.source.explainStandIn(r, err)
	}
	const q = `SELECT conname FROM pg_constraint WHERE conrelid = to_regclass($1) AND contype = 'c' AND pg_get_constraintdef(oid) = 'CHECK (true)'`
	rows, err := st.tx.Query(ctx, q, in.sql())
	if err != nil {
		return nil, st.source.explainStandIn(r, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		if err == nil {
			_, err = st.tx.Exec(ctx, "ALTER TABLE "+in.sql()+" DROP CONSTRAINT "+quote(name))
		}
	}
	if err != nil {
		return nil, st.source.explainStandIn(r, err)
	}
	return in, nil
}

// detach makes a partition a table of its own.
func (st *stage) detach(ctx context.Context, r *relation, n objectName, out *Rehearsal) error {
	q, err := st.find(n)
	if err != nil {
		return err
	}
	if ok, err := st.isPart(ctx, q, r); err != nil || !ok {
		return orElse(err, unfit("%s is not a partition of %s", nameOf(q), nameOf(r)))
	}
	if err := st.leave(ctx, q, "detach", out); err != nil {
		return err
	}
	q.Partition, st.parents[q.OID] = false, nil
	if st.captures(q) {
		return st.arrive(ctx, q, false, out)
	}
	return nil
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (st *stage) isPart(ctx context.Context, q, r *relation) (is bool, err error) {
	if parent, made := st.parents[q.OID]; made {
		return parent == r, nil
	}
	const ask = "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = $1 AND inhparent = $2)"
	if err := st.tx.QueryRow(ctx, ask, q.OID, r.OID).Scan(&is); err != nil {
		return false, fmt.Errorf("cannot ask what %s is a partition of: %w", q.sql(), err)
	}
	return is, nil
}

// leave says what it means that the rows of a partition go without a word of it in the log.
func (st *stage) leave(ctx context.Context, q *relation, how string, out *Rehearsal) error {
	root, err := st.root(ctx, q)
	if err != nil {
		return err
	}
	if !st.captures(root) {
		out.Notes = append(out.Notes, nameOf(q)+" is a partition of "+nameOf(root)+", which is not captured: no record changes")
		return nil
	}
	rows, err := st.hasRows(ctx, q)
	if err != nil {
		return err
	}
	c, err := st.asItIs(ctx, root)
	if err != nil {
		return err
	}
	if rows {
		c.fault(gone(q, root, how))
	} else {
		c.Notes = append(c.Notes, "partition "+nameOf(q)+" is empty: no row goes with it")
	}
	out.Tables = append(out.Tables, c)
	return nil
}

// gone is why rows stay behind Kafka that the source has no more.
func gone(q, root *relation, how string) string {
	why := map[string]string{
		"detach":   "they leave " + nameOf(root) + " without a delete in the log",
		"drop":     "they go without a delete in the log",
		"truncate": "PostgreSQL sends the TRUNCATE of a partitioned table only, not that of one partition",
	}
	return "the rows of partition " + nameOf(q) + " stay in topic and destinations: " + why[how] + "; where they are to go, DELETE them before"
}

func tableName(c *TableChange) string { return c.After.name() }
