package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// Error says what could not be done at the destination. Table is the destination's, Key and Column
// are set when the fault was traced to one row or column. The batch that met it was rolled back.
type Error struct {
	Sink   string
	Doing  string // "apply", "resume", ...
	Table  string
	Column string
	Key    string
	Fix    string // what to do now; empty when waiting is enough
	Err    error
	// advised is Fix without what it says of a sink that stops.
	advised string

	// The row and its table, until the column at fault is found.
	t   *target
	row change.Row
}

// Error gives one sentence: where, what, and what to do.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sink %s: cannot %s", e.Sink, e.Doing)
	if where := e.where(); where != "" {
		b.WriteString(" " + strings.TrimSuffix(where, ": "))
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Fix != "" {
		b.WriteString(" -- " + e.Fix)
	}
	return b.String()
}

// where names table, column and row, as far as they are known, with a colon behind.
func (e *Error) where() string {
	var parts []string
	for _, p := range [][2]string{{"table ", e.Table}, {"column ", e.Column}, {"row ", e.Key}} {
		if p[1] != "" {
			parts = append(parts, p[0]+p[1])
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ") + ": "
}

// advise sets what to do.
func (e *Error) advise(fix string) {
	e.Fix, e.advised = fix, fix
	if fix != "" && (e.Doing == doApply || e.Doing == doUse) {
		e.Fix += "; nothing of the batch is in the destination, start the sink again afterwards"
	}
}

// Unwrap gives the cause, for example a *pgconn.PgError.
func (e *Error) Unwrap() error { return e.Err }

// Retryable tells whether the same batch may succeed later without anyone changing anything.
func (e *Error) Retryable() bool { return retryable(e.Err) }

// retryable decides by SQLSTATE (PostgreSQL manual, appendix A). What is no answer of the server is a
// fault of the connection.
func retryable(err error) bool {
	if errors.Is(err, context.Canceled) || permanent(err) {
		return false
	}
	code := sqlState(err)
	if code == "" {
		return true
	}
	switch code {
	case "40001", "40P01", "55P03", "55006", "57014", "25006", "25P03", "25P04":
		return true
	}
	switch code[:2] {
	case "08", "53", "57", "58":
		return true
	}
	return false
}

// permanent tells our own refusals and a configuration that cannot be read from faults of the network.
func permanent(err error) bool {
	var refused *refusal
	var parse *pgconn.ParseConfigError
	return errors.As(err, &refused) || errors.As(err, &parse) || errors.Is(err, errMissingRow)
}

// sqlState gives the server's error code, or "".
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && len(pg.Code) == 5 {
		return pg.Code
	}
	return ""
}

// refusal is a fault that we see before the server does. Asking again does not help.
type refusal struct {
	err error
	fix string
	row sink.Class // where it lies in the row of a change
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(fix, format string, args ...any) error {
	return &refusal{err: fmt.Errorf(format, args...), fix: fix}
}

// refuseRow is refuse for a fault that lies in the row of a change.
func refuseRow(class sink.Class, fix, format string, args ...any) error {
	return &refusal{err: fmt.Errorf(format, args...), fix: fix, row: class}
}

// wrap makes an *Error of err, once, and adds the advice that its code allows. A held change is no
// fault and stays as it is.
func (s *Sink) wrap(doing, table string, err error) error {
	var known *Error
	var held *sink.HeldError
	if err == nil || errors.As(err, &known) || errors.As(err, &held) {
		return err
	}
	e := &Error{Sink: s.o.Name, Doing: doing, Table: table, Err: err}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		e.Column = pg.ColumnName
		if e.Table == "" && pg.TableName != "" {
			e.Table = qualified(pg.SchemaName, pg.TableName)
		}
		e.advise(s.advice(pg, e.Table))
	}
	var refused *refusal
	if errors.As(err, &refused) {
		e.advise(refused.fix)
	}
	return e
}

// fix gives only the advice of wrap.
func (s *Sink) fix(doing string, err error) string {
	var e *Error
	if errors.As(s.wrap(doing, "", err), &e) {
		return e.Fix
	}
	return ""
}

// What was being done, in errors.
const (
	doApply = "apply to"
	doUse   = "use"
)

// advice says what a person does about an error that will not go away by itself.
func (s *Sink) advice(pg *pgconn.PgError, table string) string {
	switch {
	case pg.ConstraintName == lockConstraint:
		return "a sink that has written the table before has left its lock there: tear that sink down"
	case pg.Code == "42501":
		return s.grant(pg, table)
	case pg.Code[:2] == "22":
		return "widen the destination column or correct the row at the source"
	case pg.Code[:2] == "23":
		return "the destination has a constraint that the source's rows do not meet: drop it or correct the rows"
	case pg.Code[:2] == "42":
		return "somebody changed the destination table: put it back or map the columns"
	case pg.Code[:2] == "28":
		return "check user, password and pg_hba.conf of the destination"
	case pg.Code == "3D000":
		return "create the database, or correct dsn"
	}
	return ""
}

// grant gives the statement that the destination's owner runs when a privilege is missing.
func (s *Sink) grant(pg *pgconn.PgError, table string) string {
	role := ident(s.user)
	switch {
	case strings.Contains(pg.Message, "for database"):
		return "run: GRANT CREATE ON DATABASE " + ident(s.database) + " TO " + role
	case strings.Contains(pg.Message, "for schema") && pg.SchemaName != "":
		return "run: GRANT USAGE, CREATE ON SCHEMA " + ident(pg.SchemaName) + " TO " + role
	case strings.Contains(pg.Message, "for schema"):
		return "run: GRANT USAGE, CREATE ON SCHEMA " + ident(lastWord(pg.Message)) + " TO " + role
	case strings.Contains(pg.Message, "must be owner"):
		return "run: ALTER TABLE " + table + " OWNER TO " + role + ", or make the change by hand"
	}
	return "run: GRANT SELECT, INSERT, UPDATE, DELETE ON " + table + " TO " + role
}

func lastWord(s string) string { return s[strings.LastIndexByte(s, ' ')+1:] }
