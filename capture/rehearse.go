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

// Rehearsal is what a statement would do.
type Rehearsal struct {
	Statement string
	Tables    []TableChange // those that are captured before or afterwards
	Faults    []string      // what capture would stop at or lose
	Notes     []string
}

// TableChange is what a statement would make of a captured table.
type TableChange struct {
	Before *TableState // nil when the table is not captured before
	After  *TableState // nil when the table would be gone; Before when its records stay as they are
	// Captured says that capture means the table afterwards, by the name and kind that it would have.
	Captured bool
	// Emptied says that the table is truncated.
	Emptied bool
	// Values are the columns whose type gets other values.
	Values []ValueChange
	// Untold are the numbers of columns in which older rows have values that sinks know to be missing.
	Untold []int
	// Reread says why rows that are there must be read again: values that the log does not hold.
	Reread []string
	Faults []string
	Notes  []string
}

// The limits of the rehearsing transaction: nobody waits for it longer than lockTimeout, nor it for
// anybody, and its statements work on empty tables.
const (
	lockTimeout      = time.Second
	statementTimeout = 10 * time.Second
)

// Rehearse carries statements out one after the other on empty temporary tables that are made like the
// captured ones, in a transaction that is rolled back, and says what became of them. Of a table itself it
// takes the lock that a SELECT takes, so no application waits for it. Whether PostgreSQL would carry a
// statement out on the rows that are there, and on views, triggers and foreign keys, is not answered.
// A *StatementError says that a statement was not rehearsed.
func Rehearse(ctx context.Context, cfg Config, statements string) ([]Rehearsal, error) {
	all, err := parseAll(statements)
	if err != nil {
		return nil, err
	}
	cfg = cfg.WithDefaults()
	s, err := openSource(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer s.close()
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", s.where, err)
	}
	defer rollBack(tx)
	st, err := newStage(ctx, cfg, s.within(tx), tx)
	if err != nil {
		return nil, err
	}
	return st.playAll(ctx, all)
}

// rollBack ends the transaction whatever happened, a caller that gave up included.
func rollBack(tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	_ = tx.Rollback(ctx) // a connection that is lost rolls back by itself
}

func (st *stage) playAll(ctx context.Context, all []*ddl) ([]Rehearsal, error) {
	var out []Rehearsal
	for i, d := range all {
		r := Rehearsal{Statement: d.text}
		if err := st.play(ctx, d, &r); err != nil {
			return nil, ofStatement(err, d, i, len(all))
		}
		out = append(out, r)
	}
	return out, nil
}

// ofStatement says which of several statements was not rehearsed.
func ofStatement(err error, d *ddl, i, of int) error {
	var fault *StatementError
	if of > 1 && errors.As(err, &fault) {
		return unfit("statement %d of %d (%.60s): %s", i+1, of, d.text, fault.Reason)
	}
	return err
}

// play carries one statement out.
func (st *stage) play(ctx context.Context, d *ddl, r *Rehearsal) error {
	switch d.kind {
	case "alter table":
		return st.alterTable(ctx, d, r)
	case "create table":
		return st.createTable(ctx, d, r)
	case "drop table":
		return st.dropTables(ctx, d, r)
	case "truncate":
		return st.truncate(ctx, d, r)
	case "alter type", "alter domain":
		return st.alterType(ctx, d, r)
	case "create index", "alter index", "drop index":
		return st.index(ctx, d, r)
	case "alter publication", "drop publication":
		return st.publication(ctx, d, r)
	}
	r.Notes = append(r.Notes, "it changes no record")
	return nil
}

// run executes one statement of a person's. The extended protocol takes one only: nothing can follow
// that would end our transaction.
func (st *stage) run(ctx context.Context, sql string) error {
	if err := st.tx.Conn().PgConn().ExecParams(ctx, sql, nil, nil, nil, nil).Read().Err; err != nil {
		return statementFault(err)
	}
	return nil
}

// statementFault tells the statement's faults from those of the connection.
func statementFault(err error) error {
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
		return fmt.Errorf("cannot rehearse the statement: %w", err)
	case pg.Code == stateLockTimeout:
		return fmt.Errorf("cannot rehearse the statement: another session has had what it needs locked for %s: try again later", lockTimeout)
	case pg.Code == stateInvalidTable || pg.Code == stateWrongObject:
		return unfit("PostgreSQL answers %q for the empty stand-in: leave out parts that concern other tables (inheritance, partitions), which change no record", pg.Message)
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

// captures tells whether capture means a relation by the name and kind that it has.
func (st *stage) captures(r *relation) bool {
	return r.unusable() == "" && captures(st.cfg.Tables, &change.Table{Schema: r.Schema, Name: r.Name})
}

func captures(patterns []string, t *change.Table) bool {
	for _, text := range patterns {
		if p, err := change.ParsePattern(text); err == nil && p.Match(t.Schema, t.Name) {
			return true
		}
	}
	return false
}
