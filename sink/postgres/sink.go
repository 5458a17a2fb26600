// Package postgres is a PostgreSQL destination (14 or later) in mode transactions. Batches of whole
// source transactions enter; rows of tables leave, in one destination transaction with the checkpoint
// in sluice.progress. A reader of the destination sees states between source transactions and no
// others; after any crash the checkpoint is true.
//
// A batch is collapsed by key to each row's last state and written by a few statements a table. Where
// that order meets a constraint which commit order would not (a value of a unique column that moves
// from one row to another, a foreign key), the batch is played again change by change.
package postgres

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
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
	tables   map[string]*Table // by source schema and name
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
	names    int            // statements prepared in this session
	progress string         // the prepared statement that writes the checkpoint
	held     *change.Change // a copy of delete(old) whose create(new) comes with the next piece
	copybuf  []byte
}

var _ sink.Sink = (*Sink)(nil)

// New gives a destination; it does not connect.
func New(o Options) (*Sink, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Sink{o: o, log: o.Log, tables: map[string]*Table{}}
	if s.log == nil {
		s.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s.log = s.log.With("sink", o.Name)
	for i := range o.Tables {
		t := &s.o.Tables[i]
		s.tables[tableID(t.FromSchema, t.FromName)] = t
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
	return s.lease(ctx)
}

// Apply makes the batch durable with its checkpoint, or nothing of it. After an error nothing is open,
// and Resume says where to go on. The error has Retryable() bool and names table and key; it is a
// *sink.HeldError for a refused TRUNCATE and wraps sink.ErrFenced when the lease was lost.
func (s *Sink) Apply(ctx context.Context, b *sink.Batch) error {
	if s.conn == nil {
		return s.wrap("apply", "", refuse("", "it was not resumed"))
	}
	if !b.Open && s.applied(&b.Checkpoint) {
		return s.rollback(ctx)
	}
	err := s.apply(ctx, b)
	if err == nil {
		return nil
	}
	err = s.wrap(doApply, "", err)
	if dropErr := s.rollback(ctx); dropErr != nil {
		s.disconnect()
		return err
	}
	s.locate(ctx, err)
	return err
}

// applied recognizes the batch that was committed last: a checkpoint with offsets is never given twice.
// Tables without key depend on it, since their rows cannot be told apart.
func (s *Sink) applied(cp *sink.Checkpoint) bool {
	return cp.Commit == s.stored.Commit && len(cp.Offsets) > 0 &&
		maps.EqualFunc(cp.Offsets, s.stored.Offsets, maps.Equal[map[int32]int64, map[int32]int64])
}

func (s *Sink) apply(ctx context.Context, b *sink.Batch) error {
	changes := s.join(b)
	s.begin()
	err := s.play(ctx, b, changes, false)
	if ordering(err) {
		if err = s.goBack(ctx, err); err == nil {
			err = s.play(ctx, b, changes, true)
		}
	}
	if err != nil || b.Open {
		return err
	}
	return s.commit(ctx, &b.Checkpoint)
}

// play executes a batch up to the commit. An open one leaves a point to which the next piece can go
// back, a closed one writes the checkpoint last, which only succeeds while this process owns the sink.
func (s *Sink) play(ctx context.Context, b *sink.Batch, changes []change.Change, single bool) error {
	if err := s.write(ctx, changes, single); err != nil {
		return err
	}
	if b.Open {
		return s.mark(ctx)
	}
	args, err := s.checkpointArgs(&b.Checkpoint)
	if err != nil {
		return err
	}
	if s.progress == "" {
		if s.progress, err = s.prepare(ctx, writeProgress); err != nil {
			return err
		}
	}
	s.queue.addPrepared(s.progress, textArgs(args), nil, expect{rows: 1, miss: func() error {
		return refuse("stop this process, or let it stand by", "%w", sink.ErrFenced)
	}})
	return s.flush(ctx)
}

// commit ends the transaction and remembers the checkpoint.
func (s *Sink) commit(ctx context.Context, cp *sink.Checkpoint) error {
	if err := s.end(ctx); err != nil {
		return err
	}
	s.tx, s.pieces = false, 0
	s.stored = *cp
	s.stored.Offsets = make(map[string]map[int32]int64, len(cp.Offsets))
	for topic, parts := range cp.Offsets {
		s.stored.Offsets[topic] = maps.Clone(parts)
	}
	return nil
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
	s.conn = nil
}

// forget drops what is known about an ended transaction or session.
func (s *Sink) forget() {
	s.tx, s.pieces, s.held, s.progress = false, 0, nil, ""
	s.queue.reset()
	s.targets = map[*change.Table]*target{}
	s.dests = map[string]*dest{}
}
