// Package postgres is a PostgreSQL destination (14 or later) in mode transactions. Batches of whole
// source transactions enter; rows of tables leave, in one destination transaction with the checkpoint
// in sluice.progress. A reader of the destination sees states between source transactions and no
// others; after any crash the checkpoint is true.
//
// A batch is collapsed by key to each row's last state and written by a few statements a table, tables
// in the order in which the batch first touches them, constraints deferred where they may be. Where that
// order meets a constraint which commit order would not (a value of a unique column that moves from one
// row to another, a foreign key), the batch is played again change by change. So it is where a row is refused, which
// then is named (sink.RefusedError).
//
// What a change does: a create, a read and a whole update write the row, whether or not it is there. An
// update with unchanged values writes the others and needs the row. A key change is a delete and a
// create, so under the policies Soft and Ignore the old row stays; values that did not travel are taken
// over from it. A TRUNCATE is the deletion of every row by the table's policy. Without a key, one row
// that equals the old one is changed or deleted.
//
// Triggers of the destination fire. The session holds an advisory lock as its lease; behind a pooler
// that shares sessions only the epoch in sluice.progress protects from a second process.
package postgres

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// Sink is one destination. One goroutine at a time owns it and its only connection, which holds the
// lease, the open transaction and the prepared statements.
type Sink struct {
	o        Options
	log      *slog.Logger
	tables   map[string]*Table // by schema and name
	conn     *pgconn.PgConn
	user     string
	database string
	epoch    int64
	stored   sink.Checkpoint

	tx       bool // a transaction is open, or its BEGIN is queued
	pieces   int  // pieces of an open batch in the transaction
	queue    queue
	targets  map[*change.Table]*target
	dests    map[string]*dest
	scratch  *plan
	keeps    map[string]keeping // by destination: repairs that were looked up
	names    int                // statements prepared in this session
	progress string             // the prepared statement that writes the checkpoint
	held     *change.Change     // a copy of delete(old) whose create(new) comes with the next piece
	copybuf  []byte
	chunk    chunk
	refusals []sink.Refusal // of the open transaction, which cannot be committed with any
	// awaits are the destination tables, in SQL, of which rows may be waited for.
	awaits map[string]bool

	role      string          // the session's, as others see it
	signed    bool            // the session passes for the sink's
	locked    map[string]bool // tables that the sink has seen locked
	lockedAt  time.Time       // when it last looked at the locks
	foreign   []sink.ForeignWrite
	foreignAt time.Time
}

var (
	_ sink.Sink    = (*Sink)(nil)
	_ sink.Finder  = (*Sink)(nil)
	_ sink.Awaiter = (*Sink)(nil)
	_ sink.Watcher = (*Sink)(nil)
)

// New gives a destination; it does not connect.
func New(o Options) (*Sink, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Sink{o: o, log: o.Log, tables: map[string]*Table{}, awaits: map[string]bool{}, locked: map[string]bool{}}
	if s.log == nil {
		s.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s.log = s.log.With("sink", o.Name)
	if s.o.Evolve == "" {
		s.o.Evolve = sink.DefaultEvolve
	}
	for i := range o.Tables {
		t := &s.o.Tables[i]
		s.tables[tableID(t.ToSchema, t.ToName)] = t
	}
	s.forget()
	return s, nil
}

// tableID is unambiguous, since no name of PostgreSQL holds a zero byte.
func tableID(schema, name string) string { return schema + "\x00" + name }

// Resume connects when there is no session, takes the lease and gives the checkpoint. What was open is
// rolled back. The error has Retryable() bool; ErrLeased comes as it is.
func (s *Sink) Resume(ctx context.Context) (sink.Checkpoint, error) {
	cp, err := s.resume(ctx)
	if err == nil {
		s.stored = cp
		return cp, nil
	}
	s.disconnect()
	if errors.Is(err, sink.ErrLeased) {
		return sink.Checkpoint{}, sink.ErrLeased
	}
	return sink.Checkpoint{}, s.wrap("resume", progressTable, err)
}

func (s *Sink) resume(ctx context.Context) (sink.Checkpoint, error) {
	var none sink.Checkpoint
	if err := s.session(ctx); err != nil {
		return none, err
	}
	if err := s.setUp(ctx); err != nil {
		return none, err
	}
	if err := s.claim(ctx); err != nil {
		return none, err
	}
	if err := s.recall(ctx); err != nil {
		return none, err
	}
	if err := s.lockAll(ctx); err != nil {
		return none, s.wrap("lock", "", err)
	}
	return s.takeOver(ctx)
}

// session gives a session with the lease and no transaction: the present one when it still answers.
func (s *Sink) session(ctx context.Context) error {
	if s.conn != nil && !s.conn.IsClosed() {
		if err := s.rollback(ctx); err == nil {
			return nil
		}
	}
	s.disconnect()
	conn, cfg, err := connect(ctx, s.o.DSN)
	if err != nil {
		return err
	}
	s.conn, s.user, s.database = conn, cfg.User, cfg.Database
	rows, err := s.query(ctx, "SELECT session_user")
	if err != nil {
		return err
	}
	s.role = string(rows[0][0])
	return s.lease(ctx)
}

// Close drops what is open and gives the lease back.
func (s *Sink) Close() error {
	s.disconnect()
	return nil
}

// disconnect ends the session, politely when the server answers within two seconds.
func (s *Sink) disconnect() {
	s.forget()
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if !s.conn.IsClosed() {
		s.release(ctx)
	}
	_ = s.conn.Close(ctx)
	s.conn, s.signed = nil, false
}

// forget drops what is known about an ended transaction or session.
func (s *Sink) forget() {
	s.tx, s.pieces, s.held, s.progress = false, 0, nil, ""
	s.queue.reset()
	s.targets = map[*change.Table]*target{}
	s.dests = map[string]*dest{}
	s.scratch = newPlan()
	s.keeps = map[string]keeping{}
	s.refusals = nil
}
