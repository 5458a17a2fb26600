package verify

import (
	"context"
	"strconv"
	"strings"
)

// bound is a place in the order of a side's keys: the text of each value, in the order of its index. nil is open.
type bound []string

// span is the keys k with after < k <= upTo.
type span struct{ after, upTo bound }

// side is one of the two tables, as SQL needs it. Values of keys are given in order, that of the side's index.
type side struct {
	*session
	relation
	alias string
	order []int              // of shape
	name  func(i int) string // of a column of shape that is in the key
	typ   func(i int) string // that a key's text is read as
	where func(q *query)     // adds the table's own conditions, each behind AND
}

func (v *Verifier) sourceSide(s *session, p *pair) *side {
	return &side{
		session: s, relation: p.source, alias: "s", order: p.sourceOrder,
		name:  func(i int) string { return p.keyed(i).Name },
		typ:   func(i int) string { return p.source.columns[p.keyed(i).Name].base },
		where: func(*query) {},
	}
}

func (v *Verifier) destSide(s *session, p *pair) *side {
	return &side{
		session: s, relation: p.dest, alias: "d", order: p.destOrder,
		name: func(i int) string { return p.shape.Columns[i].Name },
		typ:  func(i int) string { return p.dest.columns[p.shape.Columns[i].Name].base },
		where: func(q *query) {
			if p.Live != "" {
				q.add(" AND (" + p.Live + ")")
			}
			for _, i := range p.key { // a unique index takes rows without key, which are nobody's
				q.add(" AND d." + ident(p.shape.Columns[i].Name) + " IS NOT NULL")
			}
			for _, i := range p.fixed {
				q.add(" AND d." + ident(p.shape.Columns[i].Name) + " = ").param(p.constants[i]).add("::" + p.dest.columns[p.shape.Columns[i].Name].base)
			}
		},
	}
}

// column gives a key column.
func (s *side) column(i int) string { return s.alias + "." + ident(s.name(i)) }

func (s *side) keyColumns() string {
	return list(s.order, ", ", func(_, i int) string { return s.column(i) })
}

// from adds FROM and WHERE with the table's own conditions.
func (s *side) from(q *query) *query {
	q.add(" FROM " + s.sql + " AS " + s.alias + " WHERE true")
	s.where(q)
	return q
}

// within adds the conditions of a span.
func (s *side) within(q *query, g span) *query {
	s.compare(q, " > ", g.after)
	s.compare(q, " <= ", g.upTo)
	return q
}

func (s *side) compare(q *query, operator string, b bound) {
	if b == nil {
		return
	}
	q.add(" AND (" + s.keyColumns() + ")" + operator + "(")
	for n, i := range s.order {
		if n > 0 {
			q.add(", ")
		}
		q.param(b[n]).add("::" + s.typ(i))
	}
	q.add(")")
}

// next gives the key of the row that ends a span of so many rows; nil when no more rows follow than that. It must be
// asked in a snapshot.
func (s *side) next(ctx context.Context, after bound, rows int) (bound, error) {
	q := s.within(s.from(ask("SELECT "+s.keyColumns())), span{after: after})
	q.add(" ORDER BY " + s.keyColumns() + " LIMIT 1 OFFSET " + strconv.Itoa(rows-1))
	found, err := s.all(ctx, q)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// digest is what a side says of a span.
type digest struct {
	rows int64
	sum  string
}

// rowHash is a number made of a row, the same on all servers: of sha256 over the texts that the types' output functions
// give, in UTF-8.
func rowHash(columns string) string {
	return "('x' || encode(substr(sha256(convert_to(ROW(" + columns + ")::text, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint"
}

// digest sums up the hashes of a range, in whatever order.
func (s *side) digest(ctx context.Context, columns string, g span) (d digest, err error) {
	q := ask("SELECT count(*), coalesce(sum(" + rowHash(columns) + "), 0)")
	found, err := s.all(ctx, s.within(s.from(q), g))
	if err != nil {
		return d, err
	}
	d.rows, err = strconv.ParseInt(found[0][0], 10, 64)
	d.sum = found[0][1]
	return d, err
}

// byKey joins the rows of keys, each the values of order.
func (s *side) byKey(q *query, keys []bound, typ func(i int) string) *query {
	q.add(" FROM unnest(")
	for n := range s.order {
		if n > 0 {
			q.add(", ")
		}
		array := []byte{'{'}
		for _, k := range keys {
			array = appendItem(array, []byte(k[n]), false)
		}
		q.array(append(array, '}'))
	}
	q.add(") AS u(" + list(s.order, ", ", func(n, _ int) string { return "c" + strconv.Itoa(n) }) + ") JOIN " + s.sql + " AS " + s.alias + " ON ")
	q.add(strings.TrimPrefix(list(s.order, "", func(n, i int) string {
		return " AND " + s.column(i) + " = u.c" + strconv.Itoa(n) + "::" + typ(i)
	}), " AND "))
	s.where(q)
	return q
}
