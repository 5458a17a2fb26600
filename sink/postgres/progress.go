package postgres

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// progressTable is where a destination says how far it came.
const progressTable = "sluice.progress"

const createProgress = `CREATE TABLE sluice.progress (
	sink text NOT NULL,
	source text NOT NULL,
	commit_lsn pg_lsn NOT NULL DEFAULT '0/0',
	commit_time timestamptz,
	applied_at timestamptz NOT NULL DEFAULT now(),
	complete boolean NOT NULL DEFAULT false,
	parked bigint NOT NULL DEFAULT 0,
	epoch bigint NOT NULL DEFAULT 0,
	offsets jsonb NOT NULL DEFAULT '{}',
	PRIMARY KEY (sink, source))`

var progressComments = []string{
	`COMMENT ON SCHEMA sluice IS 'Bookkeeping of sluice (one-way change data capture)'`,
	`COMMENT ON TABLE sluice.progress IS 'Everything committed at the source up to commit_lsn is in the tables of the sink, but for parked changes. Written in the same transaction as the data.'`,
	`COMMENT ON COLUMN sluice.progress.sink IS 'Name of the sink in the configuration'`,
	`COMMENT ON COLUMN sluice.progress.source IS 'Name of the source in the configuration'`,
	`COMMENT ON COLUMN sluice.progress.commit_lsn IS 'Commit position at the source of the last transaction applied here'`,
	`COMMENT ON COLUMN sluice.progress.commit_time IS 'When that transaction committed at the source, by its clock'`,
	`COMMENT ON COLUMN sluice.progress.applied_at IS 'When it was applied here, by the clock of this server'`,
	`COMMENT ON COLUMN sluice.progress.complete IS 'False while rows of its tables are still to come: until the first copies are in, and during a repair after a gap'`,
	parkedComment,
	`COMMENT ON COLUMN sluice.progress.epoch IS 'Raised by each process that takes the sink over: an older one can commit nothing'`,
	`COMMENT ON COLUMN sluice.progress.offsets IS 'Next offset to read, by Kafka topic and partition'`,
}

const (
	parkedComment = `COMMENT ON COLUMN sluice.progress.parked IS 'Changes that are set aside in Kafka, since this database refuses them or an earlier one of their row: sluice dlq list'`
	addParked     = `ALTER TABLE sluice.progress ADD COLUMN IF NOT EXISTS parked bigint NOT NULL DEFAULT 0`
)

// setUp makes the schema and our tables where they are absent. The lock keeps two sinks that start
// together from making them twice.
func (s *Sink) setUp(ctx context.Context) error {
	have, err := s.current(ctx)
	if err != nil || have {
		return err
	}
	steps := []string{"BEGIN", "SELECT pg_catalog.pg_advisory_xact_lock(" + strconv.FormatInt(lockKey("setup"), 10) + ")"}
	if err := s.execAll(ctx, steps); err != nil {
		return err
	}
	switch have, err = s.present(ctx, progressTable); {
	case err == nil && !have:
		err = s.createProgress(ctx)
	case err == nil: // of a version before
		err = s.execAll(ctx, []string{addParked, parkedComment})
	}
	if err == nil {
		have, err = s.present(ctx, shapesTable)
	}
	if err == nil && !have {
		err = s.execAll(ctx, append([]string{createShapes}, shapesComments...))
	}
	if err == nil {
		have, err = s.present(ctx, repairsTable)
	}
	if err == nil && !have {
		err = s.execAll(ctx, append([]string{createRepairs}, repairsComments...))
	}
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "COMMIT")
	return err
}

// current tells whether our tables are there, as this version has them.
func (s *Sink) current(ctx context.Context) (bool, error) {
	have, err := s.present(ctx, repairsTable) // the youngest
	if err != nil || !have {
		return false, err
	}
	rows, err := s.query(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute
		WHERE attrelid = pg_catalog.to_regclass($1) AND attname = 'parked' AND NOT attisdropped)`, progressTable)
	return err == nil && string(rows[0][0]) == "t", err
}

func (s *Sink) createProgress(ctx context.Context) error {
	steps := append([]string{createProgress}, progressComments...)
	if rows, err := s.query(ctx, `SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'sluice'`); err != nil {
		return err
	} else if len(rows) == 0 {
		steps = append([]string{"CREATE SCHEMA sluice"}, steps...)
	} else {
		// The schema's comment is its owner's business.
		steps = append(steps[:1], steps[2:]...)
	}
	return s.execAll(ctx, steps)
}

// present tells whether a table exists; name is SQL. It reads pg_class: to_regclass alone would
// answer from the session's cache, which does not hear of other sessions' work within a transaction.
func (s *Sink) present(ctx context.Context, name string) (bool, error) {
	rows, err := s.query(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1))`, name)
	return err == nil && string(rows[0][0]) == "t", err
}

func (s *Sink) execAll(ctx context.Context, steps []string) error {
	for _, sql := range steps {
		if _, err := s.exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// takeOver raises the epoch and reads the checkpoint, in one statement: a transaction that an older
// owner still commits is waited for and seen.
func (s *Sink) takeOver(ctx context.Context) (sink.Checkpoint, error) {
	rows, err := s.query(ctx, `INSERT INTO sluice.progress AS p (sink, source, epoch) VALUES ($1, $2, 1)
		ON CONFLICT (sink, source) DO UPDATE SET epoch = p.epoch + 1
		RETURNING epoch, commit_lsn, (extract(epoch FROM commit_time) * 1000000)::bigint, complete, offsets`, s.o.Name, s.o.Source)
	if err != nil {
		return sink.Checkpoint{}, err
	}
	return s.readCheckpoint(rows[0])
}

func (s *Sink) readCheckpoint(r [][]byte) (cp sink.Checkpoint, err error) {
	bad := func(err error) (sink.Checkpoint, error) {
		return sink.Checkpoint{}, refuse("put the row of this sink in sluice.progress back, or delete it to start over", "the checkpoint cannot be read: %v", err)
	}
	if s.epoch, err = strconv.ParseInt(string(r[0]), 10, 64); err != nil {
		return bad(err)
	}
	if cp.Commit, err = change.ParseLSN(string(r[1])); err != nil {
		return bad(err)
	}
	if r[2] != nil {
		micros, err := strconv.ParseInt(string(r[2]), 10, 64)
		if err != nil {
			return bad(err)
		}
		cp.Time = change.Micros(micros)
	}
	cp.Complete = string(r[3]) == "t"
	if err = json.Unmarshal(r[4], &cp.Offsets); err != nil {
		return bad(err)
	}
	return cp, nil
}

const writeProgress = `UPDATE sluice.progress SET commit_lsn = $3, commit_time = $4, applied_at = pg_catalog.clock_timestamp(),
	complete = $5 AND NOT EXISTS (SELECT FROM sluice.awaited AS w WHERE w.sink = $1 AND w.source = $2), offsets = $6, parked = $8 WHERE sink = $1 AND source = $2 AND epoch = $7`

// checkpointArgs are the parameters of writeProgress.
func (s *Sink) checkpointArgs(cp *sink.Checkpoint) ([]any, error) {
	offsets := cp.Offsets
	if offsets == nil {
		offsets = map[string]map[int32]int64{}
	}
	j, err := json.Marshal(offsets)
	if err != nil {
		return nil, err
	}
	var at any
	if cp.Time != 0 {
		at = time.UnixMicro(int64(cp.Time)).UTC().Format("2006-01-02 15:04:05.999999Z07:00")
	}
	return []any{s.o.Name, s.o.Source, cp.Commit, at, cp.Complete, j, s.epoch, cp.Parked}, nil
}
