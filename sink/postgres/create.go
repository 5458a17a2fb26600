package postgres

import (
	"context"
	"strconv"
	"strings"
)

// createTable makes the schema, when it is absent, and the table: columns of the source's types, NOT
// NULL on the key only, since a later version of the source's table may allow NULL.
func (s *Sink) createTable(ctx context.Context, t *target) error {
	if err := s.createSchema(ctx, t.opt.ToSchema); err != nil {
		return err
	}
	create, err := s.createSQL(ctx, t)
	if err != nil {
		return err
	}
	comment := "Filled by sluice, sink " + s.o.Name + ": the rows come from " + t.opt.From + " of " + s.o.Source + ", change them there"
	s.log.Info("creating a table", "table", t.name)
	return s.execAll(ctx, []string{create, "COMMENT ON TABLE " + t.name + " IS " + literal(comment)})
}

// createSchema makes a schema where it is absent.
func (s *Sink) createSchema(ctx context.Context, name string) error {
	rows, err := s.query(ctx, `SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1`, name)
	if err == nil && len(rows) == 0 {
		_, err = s.exec(ctx, "CREATE SCHEMA "+ident(name))
	}
	return err
}

func (s *Sink) createSQL(ctx context.Context, t *target) (string, error) {
	var defs []string
	for i := range t.cols {
		def, err := s.columnSQL(ctx, t, i)
		if err != nil {
			return "", err
		}
		defs = append(defs, def)
	}
	for _, c := range t.opt.Soft {
		if !t.synced(c.Column) {
			defs = append(defs, c.sql())
		}
	}
	if len(t.key) > 0 {
		defs = append(defs, "PRIMARY KEY ("+t.keyList("")+")")
	}
	return "CREATE TABLE " + t.name + " (" + strings.Join(defs, ", ") + ")", nil
}

func (s *Sink) columnSQL(ctx context.Context, t *target, i int) (string, error) {
	typ, err := s.typeFor(ctx, t.table.Columns[i].Type.Name)
	if err != nil {
		return "", err
	}
	def := t.cols[i].quoted + " " + typ
	for _, k := range t.key {
		if k == i {
			def += " NOT NULL"
		}
	}
	return def, nil
}

// synced tells whether a destination column is written from the source.
func (t *target) synced(name string) bool {
	for _, c := range t.cols {
		if c.name == name {
			return true
		}
	}
	return false
}

// sql declares a column for a soft delete, with the default that a row has which is not deleted.
func (c SoftColumn) sql() string {
	name := ident(c.Column)
	if c.Value == nil {
		return name + " text"
	}
	switch *c.Value {
	case "true":
		return name + " boolean DEFAULT false"
	case "false":
		return name + " boolean DEFAULT true"
	case "now":
		return name + " timestamptz"
	}
	if _, err := strconv.ParseInt(*c.Value, 10, 64); err == nil {
		return name + " bigint"
	}
	return name + " text"
}
