package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/sink"
)

// lockTimeout bounds how long an ALTER TABLE waits: behind it, readers of the table would wait too. The
// batch is rolled back and tried again.
const lockTimeout = "2s"

// step is a statement that makes the destination table what the source's has become.
type step struct {
	sql string
	// why says what differs, for people; empty when the step before says it.
	why string
	// held says that evolve does not allow the step.
	held bool
	// changes is a query that gives a row when the step would change values; empty when it cannot.
	changes string
}

// evolve brings a destination table from the shape that it stands for to that of t.table, or says
// what to run. Everything of the older shape is written already.
func (s *Sink) evolve(ctx context.Context, t *target, was *shape, have relation) (relation, error) {
	d := newDifference(t, was, have, s.o.Evolve)
	steps, err := s.steps(ctx, d)
	if err != nil || len(steps) == 0 {
		return have, err
	}
	if slices.ContainsFunc(steps, func(st step) bool { return st.held }) {
		return have, s.hold(t, steps, "")
	}
	if err := s.follow(ctx, t, steps); err != nil {
		return have, err
	}
	return s.catalog(ctx, t.name)
}

// steps asks for each kind of difference, in the order in which they can be carried out.
func (s *Sink) steps(ctx context.Context, d *difference) ([]step, error) {
	for _, find := range []func(context.Context, *difference) error{s.replaced, s.columns, s.types, s.key} {
		if err := find(ctx, d); err != nil {
			return nil, err
		}
	}
	return d.steps, nil
}

// follow runs the steps. Checks that were deferred come first: a table with such is not altered.
func (s *Sink) follow(ctx context.Context, t *target, steps []step) error {
	if err := s.execAll(ctx, []string{"SET LOCAL lock_timeout = '" + lockTimeout + "'", "SET CONSTRAINTS ALL IMMEDIATE"}); err != nil {
		return err
	}
	for _, st := range steps {
		s.log.Info("following a schema change", "table", t.name, "sql", st.sql)
		if err := s.take(ctx, t, st, steps); err != nil {
			return err
		}
	}
	return s.execAll(ctx, []string{"SET CONSTRAINTS ALL DEFERRED", "SET LOCAL lock_timeout TO DEFAULT"})
}

// take runs one step. What the server refuses for good waits for a person.
func (s *Sink) take(ctx context.Context, t *target, st step, all []step) error {
	if st.changes != "" {
		rows, err := s.query(ctx, st.changes)
		switch {
		case err != nil && retryable(err):
			return err
		case err != nil:
			return s.hold(t, all, "the destination cannot convert the values: "+err.Error())
		case len(rows) > 0:
			return s.hold(t, all, "values of rows that are there would not stay as they are, and a USING clause of the source's statement is not in the log")
		}
	}
	_, err := s.exec(ctx, st.sql)
	if err == nil || retryable(err) {
		return err
	}
	return s.hold(t, all, "the destination refused "+st.sql+": "+err.Error())
}

// hold says what differs and what to run.
func (s *Sink) hold(t *target, steps []step, refused string) error {
	var why, run []string
	for _, st := range steps {
		if st.why != "" && !slices.Contains(why, st.why) {
			why = append(why, st.why)
		}
		if st.sql != "" {
			run = append(run, st.sql)
		}
	}
	if s.o.Lock != LockNone && slices.ContainsFunc(run, writesRows) {
		run = append([]string{s.signSession()}, run...) // the lock takes whoever runs them for the sink
	}
	if refused == "" {
		refused = "evolve: " + string(s.o.Evolve) + " does not allow that"
	}
	return &sink.HeldError{Table: t.opt.From, Why: sink.HoldSchema, Reason: "its schema changed: at the destination table " + t.name + ", " + strings.Join(why, "; ") + "; " + refused +
		". Nothing of the batch is in the destination; run: " + strings.Join(run, "; ") + " -- the sink looks again every few seconds and goes on"}
}

func writesRows(sql string) bool {
	return strings.HasPrefix(sql, "DELETE ") || strings.HasPrefix(sql, "UPDATE ")
}
