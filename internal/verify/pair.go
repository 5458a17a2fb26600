package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/transform"
)

// pair is a source table and its destination as both are now.
type pair struct {
	*Table
	shape        *change.Table      // what the destination should hold
	origins      []transform.Origin // of its columns, over From
	source, dest relation
	// compared are the columns of shape that the destination has, but for fixed ones; absent it lacks.
	compared []int
	absent   []string
	// read are those of compared, and of the key, whose values the destination has to read before they can be
	// compared: its column is of another type, or an expression made them.
	read []int
	// key are the columns of shape that come from the source's key; fixed tell the rows of one source from those of
	// others by constants.
	key, fixed []int
	constants  map[int]string // as the destination prints them
	// order gives the key in the order of each side's index.
	sourceOrder, destOrder []int
	// ordered says that both sides have keys in one order, and in an index, so that ranges are the same.
	ordered bool
	// pushed says that both sides can compute the same digest of a range.
	pushed bool
	// asked says that the destination is an API, which has no table: dest is that of an absent one.
	asked bool
}

// pair looks at both tables. It gives what it has with an error.
func (v *Verifier) pair(ctx context.Context, t *Table) (*pair, error) {
	p := &pair{Table: t, constants: map[int]string{}}
	p.trace()
	var err error
	if p.source, err = v.rows.relation(ctx, t.From.Schema, t.From.Name); err != nil {
		return nil, err
	}
	if p.source.oid == "" {
		return nil, fmt.Errorf("cannot verify %s: it is not at the source", t.From.QualifiedName())
	}
	if p.asked = v.o.API != nil; !p.asked {
		p.dest, err = v.aside.relation(ctx, t.Schema, t.Name)
	}
	if err != nil {
		return nil, err
	}
	p.match()
	if len(p.key)+len(p.fixed) < len(p.shape.Key) {
		return p, fmt.Errorf("its key is not at the destination: %s has no column %s", change.FormatName(t.Schema, t.Name), strings.Join(p.absent, ", "))
	}
	if err := v.readConstants(ctx, p); err != nil {
		return p, err
	}
	if len(p.key) > 0 {
		err = v.keyOrder(ctx, p)
	}
	p.pushed = p.pushable(v)
	return p, err
}

// trace follows each column back to the source.
func (p *pair) trace() {
	p.shape = p.From
	origins := make([]transform.Origin, len(p.From.Columns))
	for i := range origins {
		origins[i].Column = i
	}
	for _, m := range []*transform.Mapping{p.Transform, p.Mapping} {
		if m == nil {
			continue
		}
		next := make([]transform.Origin, len(m.Table().Columns))
		for i := range next {
			next[i] = m.Origin(i)
			if c := next[i].Column; c >= 0 {
				next[i] = origins[c]
			}
		}
		p.shape, origins = m.Table(), next
	}
	p.origins = origins
}

// match sorts the columns by what is to be done with them.
func (p *pair) match() {
	for i, c := range p.shape.Columns {
		inKey, constant := p.shape.IsKey(i), p.origins[i].Constant.Format
		have, ok := p.dest.columns[c.Name]
		switch {
		case p.dest.oid != "" && !ok:
			p.absent = append(p.absent, c.Name)
			continue
		case p.Shared && constant == change.Text:
			p.fixed = append(p.fixed, i)
			continue
		case inKey:
			p.key = append(p.key, i)
		}
		p.compared = append(p.compared, i)
		if p.origins[i].Column < 0 || have.full != c.Type.Name || c.Type.Kind == change.Opaque || c.Type.Kind == change.Money {
			p.read = append(p.read, i)
		}
	}
}

// pushable tells whether every column is the source's own, or constant, of a type whose text is the same on both
// sides, and no row is left out.
func (p *pair) pushable(v *Verifier) bool {
	filtered := p.Transform != nil && p.Transform.Filtered() || p.Mapping != nil && p.Mapping.Filtered()
	if filtered || p.Keeps || p.dest.oid == "" || !v.rows.utf8 || !v.dest.utf8 {
		return false
	}
	return !slices.ContainsFunc(p.read, func(i int) bool { return p.origins[i].Constant.Format == change.Absent })
}

// readConstants asks the destination how it prints the constants.
func (v *Verifier) readConstants(ctx context.Context, p *pair) error {
	for i, o := range p.origins {
		name := p.shape.Columns[i].Name
		have, ok := p.dest.columns[name]
		if p.asked && o.Constant.Format == change.Text {
			p.constants[i] = string(o.Constant.Data)
		}
		if o.Constant.Format != change.Text || !ok {
			continue
		}
		row, err := v.aside.one(ctx, "SELECT $1::text::"+have.base+"::"+have.full, string(o.Constant.Data))
		if err != nil {
			return fmt.Errorf("cannot read the constant of column %s: %w", name, err)
		}
		p.constants[i] = row[0]
	}
	return nil
}

// keyed gives the source's column of a key column.
func (p *pair) keyed(i int) change.Column { return p.From.Columns[p.origins[i].Column] }

// keyOrder learns by which index each side finds its rows, and whether in the same order.
func (v *Verifier) keyOrder(ctx context.Context, p *pair) (err error) {
	name := func(i int) string { return p.keyed(i).Name }
	if p.sourceOrder, err = v.rows.indexed(ctx, p.source.oid, p.key, name, nil); err != nil {
		return err
	}
	destName := func(i int) string { return p.shape.Columns[i].Name }
	if p.destOrder, err = v.aside.indexed(ctx, p.dest.oid, p.key, destName, p.fixed); err != nil {
		return err
	}
	p.ordered = !p.Keeps && p.dest.oid != "" && slices.Equal(p.sourceOrder, p.destOrder)
	for _, i := range p.key {
		from, to := p.source.columns[name(i)], p.dest.columns[destName(i)]
		p.ordered = p.ordered && from.order() != "" && from.order() == to.order()
	}
	return nil
}

// relation is a table as its catalogue has it.
type relation struct {
	oid     string // empty when it is absent
	sql     string // in a FROM clause
	lock    string // for LOCK TABLE
	shape   string // changes when its columns do
	columns map[string]column
}

type column struct {
	base, full string // the type with domains resolved, without and with modifier
	// sorts says how values are sorted, in words that are equal where the order is.
	sorts string
}

// order tells how the column's values are sorted; empty when that is the type's own business.
func (c column) order() string {
	switch c.base {
	case "smallint", "integer", "bigint":
		return "integer"
	case "uuid", "date", "boolean", "bytea", "numeric", "real", "double precision", "oid",
		"timestamp without time zone", "timestamp with time zone", "time without time zone":
		return c.base
	case "text", "character varying", "bpchar":
		return c.base + " " + c.sorts
	}
	return ""
}

// typeName is format_type with the schema always there, for type t with the modifier.
func typeName(mod string) string {
	return `CASE n.nspname WHEN 'pg_catalog' THEN format_type(t.oid, ` + mod + `)
		ELSE quote_ident(n.nspname) || '.' || quote_ident(e.typname) || substr(format_type(e.oid, ` + mod + `), 1 + length(format_type(e.oid, NULL)))
			|| CASE WHEN t.oid = e.oid THEN '' ELSE '[]' END END`
}

// readColumns gives name, types and order of each column. How a collation sorts is said by its provider, locale and
// version; the columns that hold these differ between versions of PostgreSQL. One that sorts by bytes is C everywhere.
var readColumns = `WITH RECURSIVE base AS (
		SELECT a.attname, a.attnum, a.atttypid AS typ, a.atttypmod AS mod, a.attcollation AS coll FROM pg_attribute a
		WHERE a.attrelid = $1::text::oid AND a.attnum > 0 AND NOT a.attisdropped
		UNION ALL SELECT b.attname, b.attnum, d.typbasetype, d.typtypmod, b.coll FROM base b JOIN pg_type d ON d.oid = b.typ AND d.typtype = 'd'
	)
	SELECT b.attname, ` + typeName("-1") + `, ` + typeName("b.mod") + `, current_setting('server_encoding') || ' ' || coalesce((
		SELECT CASE WHEN s.locale IN ('C', 'POSIX') THEN 'C' ELSE concat_ws(' ', s.provider, s.locale, s.exact, s.version) END FROM (
			SELECT CASE WHEN c.collprovider = 'd' THEN to_jsonb(d) ->> 'datlocprovider' ELSE c.collprovider::text END AS provider,
				CASE WHEN c.collprovider = 'd' THEN coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', d.datcollate)
				ELSE coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate::text) END AS locale,
				c.collisdeterministic AS exact, CASE WHEN c.collprovider = 'd' THEN to_jsonb(d) ->> 'datcollversion' ELSE pg_collation_actual_version(c.oid) END AS version
			FROM pg_collation c, pg_database d WHERE c.oid = b.coll AND d.datname = current_database()) s), '')
	FROM base b JOIN pg_type t ON t.oid = b.typ AND t.typtype <> 'd' LEFT JOIN pg_type e0 ON e0.oid = t.typelem AND e0.typarray = t.oid
	JOIN pg_type e ON e.oid = coalesce(e0.oid, t.oid) JOIN pg_namespace n ON n.oid = e.typnamespace`

// shapeSQL makes one text of all columns of a table.
const shapeSQL = `SELECT coalesce(string_agg(concat_ws(' ', attnum, quote_ident(attname), atttypid, atttypmod), ',' ORDER BY attnum), '')
	FROM pg_attribute WHERE attrelid = $1::text::oid AND attnum > 0 AND NOT attisdropped`

// relation looks a table up.
func (s *session) relation(ctx context.Context, schema, name string) (relation, error) {
	r := relation{columns: map[string]column{}, sql: qualified(schema, name)}
	found, err := s.all(ctx, ask("SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2", schema, name))
	if err != nil || len(found) == 0 {
		return r, err
	}
	r.oid, r.lock = found[0][0], r.sql
	if found[0][1] != "p" {
		r.sql = "ONLY " + r.sql
		r.lock = r.sql
	}
	rows, err := s.all(ctx, ask(readColumns, r.oid))
	for _, c := range rows {
		r.columns[c[0]] = column{base: c[1], full: c[2], sorts: c[3]}
	}
	if err == nil {
		r.shape, err = s.shapeOf(ctx, r.oid)
	}
	return r, err
}

func (s *session) shapeOf(ctx context.Context, oid string) (string, error) {
	row, err := s.one(ctx, shapeSQL, oid)
	if err != nil {
		return "", err
	}
	return row[0], nil
}

// unchanged gives ErrChanged when one of the tables has other columns by now.
func (v *Verifier) unchanged(ctx context.Context, p *pair) error {
	for _, side := range []struct {
		s *session
		r relation
	}{{v.rows, p.source}, {v.aside, p.dest}} {
		if side.r.oid == "" {
			continue
		}
		now, err := side.s.shapeOf(ctx, side.r.oid)
		if err != nil {
			return err
		}
		if now != side.r.shape {
			return fmt.Errorf("%w: %s", ErrChanged, strings.TrimPrefix(side.r.sql, "ONLY "))
		}
	}
	return nil
}

// indexed gives key in the order of a unique index over these columns, and fixed ones; as it is when there is none.
func (s *session) indexed(ctx context.Context, oid string, key []int, name func(int) string, fixed []int) ([]int, error) {
	if oid == "" {
		return key, nil
	}
	rows, err := s.all(ctx, ask(`SELECT array_to_string(ARRAY(SELECT k.n FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY u(num, at)
			JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.num JOIN unnest($2::text[]) WITH ORDINALITY k(name, n) ON k.name = a.attname ORDER BY u.at), ',')
		FROM pg_index i WHERE i.indrelid = $1::text::oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = $3::text::int
		ORDER BY i.indisprimary DESC`, oid, namesArray(key, name), fmt.Sprint(len(key)+len(fixed))))
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		var order []int
		for _, n := range strings.Split(row[0], ",") {
			var at int
			if _, err := fmt.Sscan(n, &at); err == nil {
				order = append(order, key[at-1])
			}
		}
		if len(order) == len(key) {
			return order, nil
		}
	}
	return key, nil
}

func namesArray(key []int, name func(int) string) string {
	array := []byte{'{'}
	for _, i := range key {
		array = appendItem(array, []byte(name(i)), false)
	}
	return string(append(array, '}'))
}
