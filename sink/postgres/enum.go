package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	var d *defaultError
	if errors.As(err, &d) {
		return s.addLabel(ctx, d.t, d.column, d.label, true)
	}
	if l := s.lacking(ctx, err); l != nil {
		return s.addLabel(ctx, l.t, l.column, l.label, l.ours)
	}
	return err
}

// lackedLabel is a value that an enum type does not have.
type lackedLabel struct {
	t      *target
	column column
	label  string
	ours   bool // to alter
}

// lacking gives the value that an enum type of the destination has refused; nil when that is not what err is about.
func (s *Sink) lacking(ctx context.Context, err error) *lackedLabel {
	var e *Error
	if !errors.As(err, &e) || e.row == nil || sqlState(err) != "22P02" {
		return nil
	}
	for i, c := range e.t.cols {
		v := e.row[i]
		if v.Format != change.Text {
			continue
		}
		lacks, ours, asked := s.lacksLabel(ctx, c.typ, string(v.Data))
		switch {
		case asked != nil:
			return nil
		case lacks:
			return &lackedLabel{e.t, c, string(v.Data), ours}
		case strings.HasSuffix(c.typ, "[]"):
			if l := s.lackingElement(ctx, e.t, c, string(v.Data)); l != nil {
				return l
			}
		}
	}
	return nil
}

// lackingElement does the same for a value in an array.
func (s *Sink) lackingElement(ctx context.Context, t *target, c column, array string) *lackedLabel {
	rows, err := s.query(ctx, `SELECT e.oid::regtype::text, l.label, pg_catalog.pg_has_role(e.typowner, 'USAGE')
		FROM pg_catalog.pg_type a JOIN pg_catalog.pg_type e ON e.oid = a.typelem AND e.typarray = a.oid AND e.typtype = 'e', unnest($2::text[]) l(label)
		WHERE a.oid = pg_catalog.to_regtype($1) AND l.label IS NOT NULL
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_enum WHERE enumtypid = e.oid AND enumlabel = l.label) LIMIT 1`, c.typ, array)
	if err != nil || len(rows) == 0 {
		return nil // the value's own error is the one to tell
	}
	c.typ = string(rows[0][0])
	return &lackedLabel{t, c, string(rows[0][1]), string(rows[0][2]) == "t"}
}

// lacksLabel tells whether a type is an enum without a value, and whether it is ours to alter.
func (s *Sink) lacksLabel(ctx context.Context, typ, label string) (lacks, ours bool, err error) {
	rows, err := s.query(ctx, `SELECT pg_catalog.pg_has_role(typowner, 'USAGE') FROM pg_catalog.pg_type t WHERE oid = pg_catalog.to_regtype($1)
		AND typtype = 'e' AND NOT EXISTS (SELECT FROM pg_catalog.pg_enum WHERE enumtypid = t.oid AND enumlabel = $2)`, typ, label)
	return len(rows) > 0, len(rows) > 0 && string(rows[0][0]) == "t", err
}

// defaultError says that a column to be added has a default that its enum type lacks.
type defaultError struct {
	t      *target
	column column
	label  string
}

func (e *defaultError) Error() string {
	return fmt.Sprintf("the default of column %s is %s, which the enum type %s lacks", e.column.quoted, literal(e.label), e.column.typ)
}

// allowDefault makes sure that a column can be added with its default. A value that an enum type lacks is
// added before by itself, by the sink or by the person who adds the column.
func (s *Sink) allowDefault(ctx context.Context, d *difference, i int, modes []sink.Evolve) error {
	c, label := d.t.cols[i], *d.t.table.Columns[i].Missing
	var err error
	if c.typ, err = s.typeFor(ctx, d.t.table.Columns[i].Type.Name); err != nil {
		return err
	}
	lacks, ours, err := s.lacksLabel(ctx, c.typ, label)
	if err != nil || !lacks {
		return err
	}
	if ours && slices.Contains(modes, d.mode) {
		return &defaultError{d.t, c, label}
	}
	d.add(addLabelSQL(c, label), "")
	return nil
}

func addLabelSQL(c column, label string) string {
	return "ALTER TYPE " + c.typ + " ADD VALUE IF NOT EXISTS " + literal(label)
}

func (s *Sink) addLabel(ctx context.Context, t *target, c column, label string, ours bool) error {
	alter := addLabelSQL(c, label)
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
