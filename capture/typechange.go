package capture

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/change"
)

// ValueKind is what becomes of the values of a type.
type ValueKind byte

// The kinds.
const (
	LabelAdded        ValueKind = iota + 1 // an enum gets a value
	LabelRenamed                           // a value of an enum gets another name
	AttributesChanged                      // a composite gets or loses an attribute
)

// ValueChange is a column whose type gets other values.
type ValueChange struct {
	Column string
	Kind   ValueKind
	// Direct says that the column is of the type itself, or of a domain over it: not of an array or of a
	// type that contains it.
	Direct bool
	Was    string // the label before
	Label  string // the label afterwards
}

// userType is a type that somebody made.
type userType struct {
	OID          uint32
	Schema, Name string
	Kind         string // typtype
	Make         string // the statement that makes its like; %s stands for the name
}

func (t *userType) sql() string { return quoteTable(t.Schema, t.Name) }

// alterType rehearses ALTER TYPE and ALTER DOMAIN on a type of the same kind.
func (st *stage) alterType(ctx context.Context, d *ddl, out *Rehearsal) error {
	t, err := st.findType(ctx, d.names[0])
	if err != nil {
		return err
	}
	users, err := st.users(ctx, t)
	if err != nil {
		return err
	}
	name, renames := st.typeRenamed(d, t)
	if _, owner := d.begins("owner"); !owner && !renames {
		if err := st.tryType(ctx, t, d); err != nil {
			return err
		}
	}
	if len(users) == 0 {
		out.Notes = append(out.Notes, "no captured table has a column of type "+t.sql()+", nor of a domain, an array or a composite type of it: no record changes")
		return nil
	}
	for _, u := range users {
		c, err := st.asItIs(ctx, u.table)
		if err != nil {
			return err
		}
		if renames && t.Kind != "d" {
			c.After = st.retyped(u.table, c.Before, t.OID, name)
			c.Notes = append(c.Notes, "records say the new name when capture next describes the table: after its next start, or an ALTER TABLE")
		}
		c.value(u, t, d)
		out.Tables = append(out.Tables, c)
	}
	return nil
}

// value says what becomes of the values of a table's columns.
func (c *TableChange) value(u *typeUser, t *userType, d *ddl) {
	kind, was, label := d.values(t.Kind)
	var names []string
	for _, column := range u.columns {
		name := c.Before.nameOf(column.number)
		names = append(names, name)
		if kind != 0 {
			c.Values = append(c.Values, ValueChange{Column: name, Kind: kind, Direct: column.direct, Was: was, Label: label})
		}
	}
	columns := "column " + names[0]
	if len(names) > 1 {
		columns = "columns " + strings.Join(names, ", ")
	}
	switch kind {
	case LabelAdded:
		c.Notes = append(c.Notes, "of the type: "+columns)
	case LabelRenamed:
		c.Reread = append(c.Reread, fmt.Sprintf("%s: rows with %s have %s afterwards, and the log does not say so", columns, literal(was), literal(label)))
	case AttributesChanged:
		c.Reread = append(c.Reread, columns+": the values that are there get another number of attributes, and the log does not say so")
	default:
		c.Notes = append(c.Notes, "of the type: "+columns+"; the values stay as they are")
	}
}

// values tells which values a type gets, of the kind typtype.
func (d *ddl) values(typtype string) (kind ValueKind, was, label string) {
	if typtype == "d" {
		return 0, "", ""
	}
	if s, ok := d.begins("add", "value"); ok {
		s.skip("if", "not", "exists")
		return LabelAdded, "", unquoted(s.token())
	}
	if s, ok := d.begins("rename", "value"); ok {
		was = unquoted(s.token())
		s.skip("to")
		return LabelRenamed, was, unquoted(s.token())
	}
	for _, a := range d.actions() {
		if beginsWithAny(a, [][]string{{"add", "attribute"}, {"drop", "attribute"}}) {
			return AttributesChanged, "", ""
		}
	}
	return 0, "", ""
}

func unquoted(literal string) string {
	return strings.ReplaceAll(strings.Trim(literal, "'"), "''", "'")
}

// typeRenamed gives the name that a type gets.
func (st *stage) typeRenamed(d *ddl, t *userType) (string, bool) {
	if name, ok := d.renamed(); ok {
		return change.FormatName(t.Schema, name), true
	}
	if schema, ok := d.newSchema(); ok {
		return change.FormatName(schema, t.Name), true
	}
	return "", false
}

// retyped gives a table's state with a type under another name.
func (st *stage) retyped(r *relation, before *TableState, oid uint32, name string) *TableState {
	after, table := *before, *before.Table
	table.Columns = slices.Clone(table.Columns)
	for i := range table.Columns {
		t := &table.Columns[i].Type
		switch {
		case t.OID == oid:
			t.Name = name
		case t.Elem != nil && t.Elem.OID == oid:
			elem := *t.Elem
			elem.Name = name
			t.Name, t.Elem = name+"[]", &elem
		}
	}
	after.Table = &table
	if in := st.standIns[r.OID]; in != nil {
		in.now = &after
	}
	return &after
}

// tryType has a type of the same kind take the statement. It has a name of its own, since it would hide the
// other.
func (st *stage) tryType(ctx context.Context, t *userType, d *ddl) error {
	like := quoteTable("pg_temp", fmt.Sprintf("sluice_type_%d", t.OID))
	if !st.types[t.OID] {
		if err := st.run(ctx, fmt.Sprintf(t.Make, like)); err != nil {
			return err
		}
		st.types[t.OID] = true
	}
	return st.run(ctx, d.kind+" "+like+" "+d.tail)
}

// findType looks a type up, with what makes its like.
func (st *stage) findType(ctx context.Context, n objectName) (*userType, error) {
	const q = `
		SELECT t.oid, n.nspname, t.typname, t.typtype::text, CASE t.typtype
			WHEN 'e' THEN 'CREATE TYPE %s AS ENUM (' || (SELECT coalesce(string_agg(replace(quote_literal(enumlabel), '%', '%%'), ', ' ORDER BY enumsortorder), '') FROM pg_enum WHERE enumtypid = t.oid) || ')'
			WHEN 'c' THEN 'CREATE TYPE %s AS (' || (SELECT coalesce(string_agg(replace(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), '%', '%%'), ', ' ORDER BY attnum), '')
				FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped) || ')'
			WHEN 'd' THEN 'CREATE DOMAIN %s AS ' || replace(format_type(t.typbasetype, t.typtypmod) || coalesce(' DEFAULT ' || t.typdefault, '') || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
				|| (SELECT coalesce(string_agg(' CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid), ''), '') FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'), '%', '%%')
			END
		FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
		WHERE t.typname = $1 AND (n.nspname = $2 OR $2 = '' AND pg_type_is_visible(t.oid)) AND n.nspname !~ '^pg_' AND t.typtype IN ('e', 'c', 'd') AND coalesce(c.relkind = 'c', true)`
	rows, err := st.tx.Query(ctx, q, n.name, n.schema)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for type %s: %w", n, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[userType])
	if err != nil {
		return nil, fmt.Errorf("cannot ask for type %s: %w", n, err)
	}
	if len(all) == 0 {
		return nil, unfit("there is no enum, composite type or domain %s at the source", n)
	}
	return &all[0], nil
}
