package capture

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

// derive adds the generated columns that the log leaves out: stored ones before PostgreSQL 18, virtual
// ones always. Their expressions are those of today's catalogue. Where it is ahead of the log, a value
// is at worst early: it is the one that the later statement gave the row, too.
func (c *catalogue) derive(ctx context.Context, m *pgoutput.Relation, t *change.Table, before *version, all []attribute) error {
	columns, err := c.unlogged(ctx, t, all)
	if err != nil {
		return err
	}
	types := map[int16]uint32{}
	for i := range t.Columns {
		types[t.Columns[i].Attnum] = m.Columns[i].Type
	}
	for _, d := range append(columns, c.unloggedBefore(t, before, all)...) {
		switch {
		case slices.ContainsFunc(t.Columns, func(k change.Column) bool { return k.Name == d.Name || k.Attnum == d.Attnum }):
			// What travels under this name or number is another column, or it before or after it was generated.
		case hasInputs(types, d.Expression):
			insert(t, d)
		default:
			c.leave(t, d.Name, "the log is older than the table's present shape, and lacks what it is computed from or has it in other types")
		}
	}
	computable, err := c.computable(ctx, t)
	if err == nil {
		*t = *computable
	}
	return err
}

// derived is a column to be computed, and whether the record key has it.
type derived struct {
	change.Column
	key bool
}

// unlogged gives the columns of today's catalogue that the log leaves out.
func (c *catalogue) unlogged(ctx context.Context, t *change.Table, all []attribute) (out []derived, err error) {
	if !slices.ContainsFunc(all, func(a attribute) bool { return a.Unlogged }) {
		return nil, nil
	}
	expressions, err := c.expressions(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if !a.Unlogged {
			continue
		}
		e, known := expressions[a.Number]
		if !known && c.terms == nil { // it was generated at the question before
			return nil, errMoved
		}
		if e == nil {
			c.leave(t, a.Name, "partitions compute it by expressions of their own, and the log does not say which partition a row is in")
			continue
		}
		typ, err := c.typeOf(ctx, a.Type, a.Mod)
		if err != nil {
			return nil, fmt.Errorf("cannot ask for the type of %s.%s: %w", t.QualifiedName(), a.Name, err)
		}
		key := a.Key
		if t.Identity == change.IdentityIndex {
			key = a.Identity
		}
		out = append(out, derived{change.Column{Name: a.Name, Type: c.form(typ), Attnum: a.Number, Expression: e}, key})
	}
	return out, nil
}

// unloggedBefore gives the columns of the version before that were computed and, since then, became
// ordinary (DROP EXPRESSION) or went with the whole table: a message without them is older than that.
func (c *catalogue) unloggedBefore(t *change.Table, before *version, all []attribute) (out []derived) {
	if before == nil {
		return nil
	}
	for i, col := range before.Table.Columns {
		if col.Expression == nil {
			continue
		}
		k := slices.IndexFunc(all, func(a attribute) bool { return a.Number == col.Attnum })
		switch {
		case len(all) == 0, k >= 0 && !all[k].Dropped && !all[k].Unlogged:
			out = append(out, derived{col, before.Table.IsKey(i)})
		case k >= 0 && all[k].Dropped:
			c.leave(t, col.Name, "it was dropped; log from before that is read without it")
		}
	}
	return out
}

func (c *catalogue) leave(t *change.Table, column, why string) {
	if c.left != nil {
		c.left(t, column, why)
	}
}

// hasInputs tells whether the log has what an expression reads, by the types of its columns.
func hasInputs(types map[int16]uint32, e *change.Expression) bool {
	return !slices.ContainsFunc(e.Inputs, func(in change.Input) bool { return types[in.Attnum] != in.OID })
}

// insert puts a column where its number belongs.
func insert(t *change.Table, d derived) {
	at := len(t.Columns)
	for at > 0 && (t.Columns[at-1].Attnum == 0 || t.Columns[at-1].Attnum > d.Attnum) {
		at--
	}
	t.Columns = slices.Insert(t.Columns, at, d.Column)
	for i := range t.Key {
		if t.Key[i] >= at {
			t.Key[i]++
		}
	}
	if d.key {
		t.Key = append(t.Key, at)
		slices.Sort(t.Key)
	}
}

// inputsOf lists the columns that column a of a pg_attribute depends on by its pg_attrdef d. Before
// PostgreSQL 15 the column itself depends on them.
const inputsOf = `
			SELECT DISTINCT p.refobjsubid AS number FROM pg_depend p
			WHERE p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid > 0 AND p.refobjsubid <> a.attnum
			AND (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid OR p.classid = 'pg_class'::regclass AND p.objid = a.attrelid AND p.objsubid = a.attnum)`

// farGenerated names the generated columns of a table whose values cannot always be computed from an
// update: of several inputs, one may be stored out of line. Of a single one all is known: it is unchanged.
func (s *source) farGenerated(ctx context.Context, r *relation) ([]string, error) {
	const q = `
		SELECT a.attname FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum, LATERAL (` + inputsOf + `) u
		JOIN pg_attribute i ON i.attrelid = $1 AND i.attnum = u.number
		WHERE a.attrelid = $1 AND (a.attgenerated = 'v' OR a.attgenerated = 's' AND NOT $2)
		GROUP BY a.attname, a.attnum HAVING count(*) > 1 AND bool_or(i.attstorage IN ('x', 'e')) ORDER BY a.attnum`
	rows, err := s.ask.Query(ctx, q, r.OID, s.logsGenerated())
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the generated columns of %s: %w", r.sql(), err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the generated columns of %s: %w", r.sql(), err)
	}
	return names, nil
}

// term is an input of a generated column; a column without one has a term without Input.
type term struct {
	Number  int16   `json:"number"` // of the generated column
	SQL     string  `json:"sql"`
	Differs bool    `json:"differs"` // partitions have expressions of their own
	Input   *int16  `json:"input"`
	Name    *string `json:"name"`
	OID     *uint32 `json:"oid"`
	Type    *string `json:"type"`
}

const (
	// termQuery is followed by the table's OID and termOrder. It is to be asked with no schema but
	// pg_catalog in the search path, so that names mean the same under any other.
	termQuery = `
		SELECT a.attnum AS number, '(' || pg_get_expr(d.adbin, d.adrelid) || ')::' || format_type(a.atttypid, a.atttypmod) AS sql,
			EXISTS (SELECT FROM pg_partition_tree(a.attrelid) l JOIN pg_attribute la ON la.attrelid = l.relid AND la.attname = a.attname
				JOIN pg_attrdef ld ON ld.adrelid = la.attrelid AND ld.adnum = la.attnum
				WHERE l.isleaf AND pg_get_expr(ld.adbin, ld.adrelid) <> pg_get_expr(d.adbin, d.adrelid)) AS differs,
			i.attnum AS input, i.attname AS name, i.atttypid AS oid, format_type(i.atttypid, i.atttypmod)
				|| CASE WHEN i.attcollation <> t.typcollation THEN ' COLLATE ' || quote_ident(n.nspname) || '.' || quote_ident(o.collname) ELSE '' END AS type
		FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		LEFT JOIN LATERAL (` + inputsOf + `) u ON true
		LEFT JOIN pg_attribute i ON i.attrelid = a.attrelid AND i.attnum = u.number
		LEFT JOIN pg_type t ON t.oid = i.atttypid
		LEFT JOIN pg_collation o ON o.oid = i.attcollation LEFT JOIN pg_namespace n ON n.oid = o.collnamespace
		WHERE a.attgenerated <> '' AND a.attrelid = `
	termOrder = ` ORDER BY a.attnum, i.attnum`
)

// ownTerms asks how the generated columns of a table are computed.
func (c *catalogue) ownTerms(ctx context.Context, t *change.Table) (terms []term, err error) {
	tx, err := c.source.ask.Begin(ctx)
	if err == nil {
		defer rollBack(tx)
		_, err = tx.Exec(ctx, "SET LOCAL search_path = pg_catalog")
	}
	var rows pgx.Rows
	if err == nil {
		rows, err = tx.Query(ctx, termQuery+"$1"+termOrder, t.OID)
	}
	if err == nil {
		terms, err = pgx.CollectRows(rows, pgx.RowToStructByPos[term])
	}
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the generated columns of %s: %w", t.QualifiedName(), err)
	}
	return terms, nil
}

// expressions gives how the generated columns of a table are computed, by their numbers. Where partitions
// have expressions of their own, the log does not say whose a row is: such a column has nil here.
func (c *catalogue) expressions(ctx context.Context, t *change.Table) (map[int16]*change.Expression, error) {
	terms := c.terms
	if terms == nil {
		var err error
		if terms, err = c.ownTerms(ctx, t); err != nil {
			return nil, err
		}
	}
	out := map[int16]*change.Expression{}
	for _, k := range terms {
		if k.Differs {
			out[k.Number] = nil
			continue
		}
		e := out[k.Number]
		if e == nil {
			e = &change.Expression{SQL: k.SQL}
			out[k.Number] = e
		}
		if k.Input != nil {
			e.Inputs = append(e.Inputs, change.Input{Attnum: *k.Input, Name: *k.Name, OID: *k.OID, Type: *k.Type})
		}
	}
	return out, nil
}
