package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// labelError says that an enum type of the destination has a value more: the batch can be read again.
type labelError struct{ typ, label string }

func (e *labelError) Error() string {
	return fmt.Sprintf("the enum type %s got the value %s, which the source's has", e.typ, literal(e.label))
}

// extend gives an enum type of the destination the value that it refused, where it is ours to alter and
// evolve lets it. A new value can be used only when it is committed (PostgreSQL manual, ALTER TYPE), so
// this runs when the batch was rolled back. The source's order of values is not known here: it comes last.
func (s *Sink) extend(ctx context.Context, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.row == nil || sqlState(err) != "22P02" {
		return err
	}
	for i, c := range e.t.cols {
		v := e.row[i]
		if v.Format != change.Text {
			continue
		}
		rows, asked := s.query(ctx, `SELECT pg_catalog.pg_has_role(typowner, 'USAGE') FROM pg_catalog.pg_type t WHERE oid = pg_catalog.to_regtype($1)
			AND typtype = 'e' AND NOT EXISTS (SELECT FROM pg_catalog.pg_enum WHERE enumtypid = t.oid AND enumlabel = $2)`, c.typ, v.Data)
		if asked != nil {
			return err
		}
		if len(rows) > 0 {
			return s.addLabel(ctx, e.t, c, string(v.Data), string(rows[0][0]) == "t")
		}
	}
	return err
}

func (s *Sink) addLabel(ctx context.Context, t *target, c column, label string, ours bool) error {
	alter := "ALTER TYPE " + c.typ + " ADD VALUE IF NOT EXISTS " + literal(label)
	why := "the enum type " + c.typ + " of column " + c.quoted + " has no value " + literal(label)
	if s.o.Evolve == sink.EvolveNone || !ours {
		return s.hold(t, []step{{sql: alter, why: why}}, "it may not be altered by this sink (evolve: "+string(s.o.Evolve)+", role "+ident(s.user)+")")
	}
	s.log.Info("following a schema change", "table", t.name, "sql", alter)
	if _, err := s.exec(ctx, alter); err != nil {
		return s.hold(t, []step{{sql: alter, why: why}}, "the destination refused: "+err.Error())
	}
	return s.wrap(doApply, t.name, &labelError{typ: c.typ, label: label})
}
