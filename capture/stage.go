package capture

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

// stage is the transaction in which statements are rehearsed, with what they have made of the source's
// tables so far.
type stage struct {
	cfg    Config
	source *source // within tx
	tx     pgx.Tx

	tables   []*relation          // by the names that they have now
	standIns map[uint32]*standIn  // by the table's OID
	parents  map[uint32]*relation // of partitions that statements made, by OID; nil for those that are none any more
	types    map[uint32]bool      // those that have a stand-in
}

func newStage(ctx context.Context, cfg Config, s *source, tx pgx.Tx) (*stage, error) {
	limits := fmt.Sprintf("SET LOCAL lock_timeout = %d; SET LOCAL statement_timeout = %d", lockTimeout.Milliseconds(), statementTimeout.Milliseconds())
	if _, err := tx.Exec(ctx, limits); err != nil {
		return nil, fmt.Errorf("cannot rehearse at %s: %w", s.where, err)
	}
	all, err := s.relations(ctx)
	if err != nil {
		return nil, err
	}
	st := &stage{cfg: cfg, source: s, tx: tx, standIns: map[uint32]*standIn{}, parents: map[uint32]*relation{}, types: map[uint32]bool{}}
	for i := range all {
		st.tables = append(st.tables, &all[i])
	}
	return st, nil
}

// lookUp gives the tables of a name. Without a schema it is the captured ones that are meant, if any is.
func (st *stage) lookUp(n objectName) (found []*relation) {
	var captured []*relation
	for _, r := range st.tables {
		if r.Name != n.name || n.schema != "" && r.Schema != n.schema {
			continue
		}
		found = append(found, r)
		if st.captures(r) {
			captured = append(captured, r)
		}
	}
	if len(captured) > 0 {
		return captured
	}
	return found
}

// find gives the one table of a name.
func (st *stage) find(n objectName) (*relation, error) {
	switch found := st.lookUp(n); len(found) {
	case 0:
		return nil, unfit("there is no table %s at the source", n)
	case 1:
		return found[0], nil
	default:
		return nil, unfit("there is a table %s in schema %s and in schema %s: write the schema before the name", n, found[0].Schema, found[1].Schema)
	}
}

func (st *stage) byOID(oid uint32) *relation {
	if i := slices.IndexFunc(st.tables, func(r *relation) bool { return r.OID == oid }); i >= 0 {
		return st.tables[i]
	}
	return nil
}

func (st *stage) remove(r *relation) {
	st.tables = slices.DeleteFunc(st.tables, func(other *relation) bool { return other == r })
}

// root gives the table under whose name the rows of a partition come.
func (st *stage) root(ctx context.Context, r *relation) (*relation, error) {
	if parent, made := st.parents[r.OID]; made && parent != nil {
		return st.root(ctx, parent)
	}
	if !r.Partition {
		return r, nil
	}
	var oid uint32
	if err := st.tx.QueryRow(ctx, "SELECT pg_partition_root($1::oid::regclass)::oid", r.OID).Scan(&oid); err != nil {
		return nil, fmt.Errorf("cannot ask what %s is a partition of: %w", r.sql(), err)
	}
	if root := st.byOID(oid); root != nil {
		return root, nil
	}
	return nil, unfit("the table that %s is a partition of is gone", r.sql())
}

// standIn gives the stand-in for a table, made at the first need.
func (st *stage) standIn(ctx context.Context, r *relation) (*standIn, error) {
	if in := st.standIns[r.OID]; in != nil {
		return in, nil
	}
	if err := st.free(r.Name); err != nil {
		return nil, err
	}
	in := &standIn{source: st.source, tx: st.tx, of: r, name: r.Name}
	if err := in.make(ctx); err != nil {
		return nil, st.source.explainStandIn(r, err)
	}
	st.standIns[r.OID] = in
	return in, nil
}

// free refuses a name that a stand-in for a table of another schema has: all stand in one schema.
func (st *stage) free(name string) error {
	for _, in := range st.standIns {
		if in.name == name {
			return unfit("tables %s and another one of that name cannot be rehearsed in one call: ask for each alone", in.of.sql())
		}
	}
	return nil
}

// state describes a table as the statements so far have left it.
func (st *stage) state(ctx context.Context, r *relation) (*TableState, error) {
	if in := st.standIns[r.OID]; in != nil {
		return in.now, nil
	}
	return st.source.state(ctx, r)
}

// hasRows tells whether there are rows in a table. One that may not be read is taken to have some.
func (st *stage) hasRows(ctx context.Context, r *relation) (rows bool, err error) {
	var table string
	if in := st.standIns[r.OID]; in != nil && in.was == nil {
		table = in.sql()
	} else if !r.Readable || !r.SchemaUsage {
		return true, nil
	} else if err := st.tx.QueryRow(ctx, "SELECT $1::oid::regclass::text", r.OID).Scan(&table); err != nil {
		return false, statementFault(err)
	}
	if err := st.tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+table+")").Scan(&rows); err != nil {
		return false, statementFault(err)
	}
	return rows, nil
}

// clash names a captured table whose topic another one would have.
func (st *stage) clash(r *relation) string {
	topic := schemas.Topic(st.cfg.Name, r.Schema, r.Name)
	for _, other := range st.tables {
		if other != r && st.captures(other) && schemas.Topic(st.cfg.Name, other.Schema, other.Name) == topic {
			return "its topic " + topic + " would be that of table " + nameOf(other) + " too: capture does not start with both"
		}
	}
	return ""
}

func nameOf(r *relation) string { return change.FormatName(r.Schema, r.Name) }
