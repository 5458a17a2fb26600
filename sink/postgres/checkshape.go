package postgres

import (
	"context"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// CheckShapes looks at destination tables that are there already for columns that do not keep every value
// of what would be written to them. shapes are tables as Apply gets them. A destination that does not
// answer gives nothing: Check says so.
func (s *Sink) CheckShapes(ctx context.Context, shapes []*change.Table) (found []Finding) {
	conn, _, err := connect(ctx, s.o.DSN)
	if err != nil {
		return nil
	}
	look := &Sink{o: s.o, conn: conn, tables: s.tables}
	defer look.disconnect()
	for _, t := range shapes {
		if opt := look.tables[tableID(t.Schema, t.Name)]; opt != nil {
			found = append(found, look.narrowColumns(ctx, t, qualified(opt.ToSchema, opt.ToName))...)
		}
	}
	return found
}

func (s *Sink) narrowColumns(ctx context.Context, t *change.Table, name string) (found []Finding) {
	have, err := s.catalog(ctx, name)
	if err != nil {
		return nil
	}
	for _, c := range t.Columns {
		there, ok := have.columns[c.Name]
		if !ok || narrow(there, c.Type) == nil {
			continue
		}
		found = append(found, Finding{
			What:  "table " + name + ", column " + ident(c.Name),
			Fault: fmt.Sprintf("it is %s there and comes as %s: a value that it would round or cut stops the sink", there.full, c.Type.Name),
			Fix:   "ALTER TABLE " + name + " ALTER COLUMN " + ident(c.Name) + " TYPE " + c.Type.Name, Warning: true,
		})
	}
	return found
}

// ColumnTypes gives the types of a destination table's columns, domains resolved. There are none when the
// table is not there. A destination that does not answer is an error.
func (s *Sink) ColumnTypes(ctx context.Context, schema, name string) (map[string]string, error) {
	conn, _, err := connect(ctx, s.o.DSN)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the destination for its columns: %w", err)
	}
	look := &Sink{o: s.o, conn: conn}
	defer look.disconnect()
	have, err := look.catalog(ctx, qualified(schema, name))
	if err != nil {
		return nil, fmt.Errorf("cannot ask the destination for its columns: %w", err)
	}
	types := map[string]string{}
	for column, a := range have.columns {
		types[column] = a.full
	}
	return types, nil
}
