package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// Rehearsal is what the sink would do to one destination table by its policies, found out at a few rows of it in
// transactions that were rolled back.
type Rehearsal struct {
	Table    string `json:"table"` // as in SQL
	Deletes  string `json:"deletes"`
	Truncate string `json:"truncate"`
	// Rows is about how many the table holds, by its statistics; 0 when they say nothing.
	Rows int64 `json:"rows"`
	// Skipped says why nothing was rehearsed.
	Skipped string `json:"skipped,omitempty"`
	Acts    []Act  `json:"statements"`
}

// Act is one statement of the source, as the sink applies it to the sampled rows.
type Act struct {
	Statement string `json:"statement"` // insert, update, delete or truncate
	Sample    int    `json:"sample"`    // rows
	// Tables are those in which rows were written, the table itself first.
	Tables   []Touched `json:"tables"`
	Triggers []Fired   `json:"triggers"`
	// Locks are those on tables, their partitions and indexes, beside the locks of the rows that were written.
	Locks []Lock `json:"locks"`
	// Millis is how long the statements took, with their way to the server and back.
	Millis float64 `json:"ms"`
	// Dangers are what somebody should look at before the sink does this.
	Dangers []string `json:"dangers"`
	Notes   []string `json:"notes"`
	// Unfinished says why the question was not answered: asking again may help.
	Unfinished string `json:"unfinished,omitempty"`
}

// Fired is a trigger that fires.
type Fired struct {
	Name       string `json:"name"`
	Table      string `json:"table"`
	Function   string `json:"function"`
	Definition string `json:"definition"`
}

// The statements, in the order in which they are rehearsed.
var acts = []struct {
	name string
	op   change.Op
}{{"insert", change.Create}, {"update", change.Update}, {"delete", change.Delete}, {"truncate", change.Truncate}}

// careful bounds a rehearsal: it waits for nobody for long, and nobody waits long for it, should this
// process stop in the middle.
var careful = []string{
	"SET LOCAL lock_timeout = '500ms'", "SET LOCAL statement_timeout = '5s'", "SET LOCAL idle_in_transaction_session_timeout = '5s'",
}

// Rehearse plays an insert, an update, a delete and a TRUNCATE of up to rows sampled rows of each table that want
// accepts, each in a transaction of its own that is rolled back. It takes no lease. The error is that the
// destination did not answer.
func (s *Sink) Rehearse(ctx context.Context, want func(*Table) bool, rows int) ([]Rehearsal, error) {
	conn, cfg, err := connect(ctx, s.o.DSN)
	if err != nil {
		return nil, s.wrap("connect to", "", err)
	}
	stage := &Sink{o: s.o, log: s.log, tables: s.tables, awaits: map[string]bool{}, conn: conn, user: cfg.User, database: cfg.Database}
	stage.forget()
	defer stage.disconnect()
	if err := stage.pass(ctx); err != nil {
		return nil, s.wrap("rehearse at", "", err)
	}
	var all []Rehearsal
	for i := range stage.o.Tables {
		if t := &stage.o.Tables[i]; want(t) {
			r, err := stage.rehearse(ctx, t, rows)
			if err != nil {
				return all, s.wrap("rehearse at", r.Table, err)
			}
			all = append(all, r)
		}
	}
	return all, nil
}

func (s *Sink) rehearse(ctx context.Context, opt *Table, rows int) (Rehearsal, error) {
	r := Rehearsal{Table: qualified(opt.ToSchema, opt.ToName), Deletes: opt.Deletes.String(), Truncate: string(sink.TruncateRefuse), Acts: []Act{}}
	if opt.Truncate {
		r.Truncate = string(sink.TruncateApply)
	}
	there, err := s.query(ctx, `SELECT relkind IN ('r', 'p'), CASE WHEN reltuples > 0 THEN reltuples::bigint ELSE 0 END FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)`, r.Table)
	switch {
	case err != nil:
		return r, err
	case len(there) == 0:
		r.Skipped = "the table does not exist"
		return r, nil
	case string(there[0][0]) != "t":
		r.Skipped = "it is not a table"
		return r, nil
	}
	r.Rows, _ = strconv.ParseInt(string(there[0][1]), 10, 64) // a catalog's number
	for _, a := range acts {
		act, err := s.act(ctx, opt, a.name, a.op, rows)
		if err != nil {
			return r, err
		}
		r.Acts = append(r.Acts, act)
	}
	return r, nil
}

// act plays one statement and rolls it back. The error is that this could not be done.
func (s *Sink) act(ctx context.Context, opt *Table, name string, op change.Op, rows int) (Act, error) {
	a := Act{Statement: name, Tables: []Touched{}, Triggers: []Fired{}, Locks: []Lock{}, Dangers: []string{}, Notes: []string{}}
	s.begin()
	for _, sql := range careful {
		s.queue.add(sql, nil, anyRows)
	}
	err := s.stage(ctx, opt, op, rows, &a)
	switch held := (*sink.HeldError)(nil); {
	case err == nil:
	case errors.As(err, &held):
		a.Notes = append(a.Notes, "the sink would be held: "+held.Reason)
	case ctx.Err() != nil:
		return a, err
	case retryable(err):
		a.Unfinished = err.Error()
	default:
		a.Dangers = append(a.Dangers, s.failure(err))
	}
	return a, s.rollback(ctx)
}

// failure says what the sink would stop at.
func (s *Sink) failure(err error) string {
	if code := sqlState(err); code != "" {
		return "it would fail, and the sink would stop: " + err.Error()
	}
	return "the sink would stop before it: " + err.Error()
}

// stage makes the table ready, plays the statement at a sample, and looks at what became of it.
func (s *Sink) stage(ctx context.Context, opt *Table, op change.Op, rows int, a *Act) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	t, err := s.asItStands(ctx, opt)
	if err != nil {
		return err
	}
	sampled, err := s.sample(ctx, t, rows)
	if err != nil {
		return err
	}
	a.Sample = len(sampled.rows)
	if a.Sample == 0 {
		a.Notes = append(a.Notes, "no row is free to be sampled")
		return nil
	}
	w := &witness{s: s, t: t, op: op, a: a}
	if err := w.locksBefore(ctx); err != nil {
		return err
	}
	if op == change.Create {
		if err := s.putAside(ctx, t, sampled, a); err != nil {
			return err
		}
	}
	if err := w.countsBefore(ctx); err != nil {
		return err
	}
	began := time.Now()
	err = s.perform(ctx, t, op, sampled)
	a.Millis = float64(time.Since(began).Microseconds()) / 1000
	if err != nil {
		return err
	}
	return w.after(ctx)
}

// perform does what the sink does with the statement, up to the checks that wait for the commit.
func (s *Sink) perform(ctx context.Context, t *target, op change.Op, sample sample) error {
	now := change.Micros(time.Now().UnixMicro())
	if op == change.Truncate && t.opt.Truncate && t.opt.Deletes != Ignore {
		// The sampled rows alone stand for all.
		var args [][]byte
		if t.opt.Deletes == Soft {
			args = t.softArgs(nil)
		}
		where, args := sample.where(args)
		sql, args := t.goneSQL(&change.Change{Time: now}, " WHERE "+where, args)
		s.queue.add(sql, args, expect{t: t, rows: -1})
	} else if err := s.write(ctx, sample.changes(t, op, now)); err != nil {
		return err
	}
	s.queue.add("SET CONSTRAINTS ALL IMMEDIATE", nil, expect{t: t, rows: -1})
	return s.flush(ctx)
}

// putAside takes the sampled rows away so that they can be inserted as new ones, where nothing hangs on their
// deletion. Elsewhere they are written over.
func (s *Sink) putAside(ctx context.Context, t *target, sample sample, a *Act) error {
	references, err := s.references(ctx, t.name)
	if err != nil {
		return err
	}
	triggers, err := s.triggers(ctx, t.name)
	if err != nil {
		return err
	}
	why := ""
	for _, tr := range triggers {
		if tr.kind&triggerDelete != 0 {
			why = "trigger " + ident(tr.name) + " fires on delete"
		}
	}
	if len(references) > 0 {
		why = fmt.Sprintf("%s of %s refers to them", ident(references[0].constraint), references[0].table())
	}
	if why != "" {
		a.Notes = append(a.Notes, "the rows were written over and not inserted as new ones, since they could not be put aside: "+why)
		return nil
	}
	where, args := sample.where(nil)
	r := s.conn.ExecParams(ctx, "DELETE FROM "+t.name+" AS d WHERE "+where, args, nil, nil, nil).Read()
	return r.Err
}
