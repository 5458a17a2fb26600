package capture

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
)

// Rehearsal is what a statement would make of a captured table.
type Rehearsal struct {
	Before *TableState
	After  *TableState // nil when the table would be gone
	// Captured says that source.tables still means the table, by the name that it would have.
	Captured bool
	// Reread says why rows that are there must be read again: new values that the log does not hold.
	Reread []string
}

// The limits of the rehearsing transaction: nobody waits for it longer than lockTimeout, nor it for
// anybody, and its statements work on an empty table.
const (
	lockTimeout      = time.Second
	statementTimeout = 10 * time.Second
)

// Rehearse carries an ALTER TABLE out on an empty temporary table that is made like the captured one,
// in a transaction that is rolled back, and says what became of it. Of the table itself it takes the
// lock that a SELECT takes, so no application waits for it. Whether PostgreSQL would carry the
// statement out on the rows that are there, and on views, triggers and foreign keys, is not answered.
// A *StatementError says that the statement was not rehearsed.
func Rehearse(ctx context.Context, cfg Config, statement string) (*Rehearsal, error) {
	d, err := parseDDL(statement)
	if err != nil {
		return nil, err
	}
	s, r, err := openTable(ctx, cfg, d.schema, d.name)
	if err != nil {
		return nil, err
	}
	defer s.close()
	out, err := s.rehearse(ctx, r, &d)
	if err != nil {
		return nil, err
	}
	out.Captured = out.After != nil && captures(cfg.Tables, out.After.Table)
	return out, nil
}

func captures(patterns []string, t *change.Table) bool {
	for _, text := range patterns {
		if p, err := change.ParsePattern(text); err == nil && p.Match(t.Schema, t.Name) {
			return true
		}
	}
	return false
}

func (s *source) rehearse(ctx context.Context, r *relation, d *ddl) (*Rehearsal, error) {
	if d.drop {
		before, err := s.state(ctx, r)
		return &Rehearsal{Before: before}, err
	}
	if schema, moves := d.newSchema(); moves {
		return s.move(ctx, r, schema)
	}
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", s.where, err)
	}
	defer rollBack(tx)
	return s.within(tx).alter(ctx, tx, r, d)
}

// rollBack ends the transaction whatever happened, a caller that gave up included.
func rollBack(tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	_ = tx.Rollback(ctx) // a connection that is lost rolls back by itself
}

// move answers for SET SCHEMA, which the stand-in cannot do: nothing but the name changes.
func (s *source) move(ctx context.Context, r *relation, schema string) (*Rehearsal, error) {
	before, err := s.state(ctx, r)
	if err != nil {
		return nil, err
	}
	moved, table := *before, *before.Table
	table.Schema = schema
	moved.Table = &table
	return &Rehearsal{Before: before, After: &moved}, nil
}

// alter works inside the transaction. Both states are the stand-in's, so that the numbers of their
// columns can be compared.
func (s *source) alter(ctx context.Context, tx pgx.Tx, r *relation, d *ddl) (*Rehearsal, error) {
	in := standIn{source: s, tx: tx, of: r}
	if err := in.make(ctx); err != nil {
		return nil, s.explainStandIn(r, err)
	}
	before, err := in.state(ctx)
	if err != nil {
		return nil, err
	}
	// The extended protocol takes one statement only: nothing can follow that would end our transaction.
	if err := tx.Conn().PgConn().ExecParams(ctx, "ALTER TABLE "+in.sql()+" "+d.actions, nil, nil, nil, nil).Read().Err; err != nil {
		return nil, statementFault(err)
	}
	after, err := in.state(ctx)
	if err != nil {
		return nil, err
	}
	c := comparison{before, after, in.rewritten, d.uses("using")}
	return &Rehearsal{Before: before, After: after, Reread: c.reread()}, nil
}

// statementFault tells the statement's faults from those of the connection.
func statementFault(err error) error {
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
		return fmt.Errorf("cannot rehearse the statement: %w", err)
	case pg.Code == stateInvalidTable || pg.Code == stateWrongObject:
		return unfit("PostgreSQL answers %q for the empty stand-in: leave out parts that concern other tables (foreign keys, inheritance, partitions), which change no record", pg.Message)
	}
	reason := "PostgreSQL answers: " + pg.Message
	if pg.Hint != "" {
		reason += " (" + pg.Hint + ")"
	}
	return unfit("%s", reason)
}

func (s *source) explainStandIn(r *relation, err error) error {
	switch {
	case sqlState(err) == stateNoPrivilege:
		return fmt.Errorf("cannot make an empty stand-in for %s: %w; run: GRANT TEMPORARY ON DATABASE %s TO %s; GRANT SELECT ON %s TO %s",
			r.sql(), err, quote(s.database), quote(s.user), r.sql(), quote(s.user))
	case sqlState(err) == stateLockTimeout:
		return fmt.Errorf("cannot look at %s: another session has had it locked for %s: try again later", r.sql(), lockTimeout)
	case s.standby:
		return fmt.Errorf("cannot rehearse at %s, a standby: give the address of the primary: %w", s.where, err)
	}
	return fmt.Errorf("cannot make an empty stand-in for %s: %w", r.sql(), err)
}
