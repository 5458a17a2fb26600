package postgres

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// driftTable is where sluice verify writes what it found last.
const driftTable = "sluice.drift"

const createDrift = `CREATE TABLE IF NOT EXISTS sluice.drift (
	sink text NOT NULL,
	source text NOT NULL,
	source_table text NOT NULL,
	destination text NOT NULL,
	kind text NOT NULL,
	rows bigint NOT NULL,
	verified_at timestamptz NOT NULL,
	commit_lsn pg_lsn NOT NULL,
	sample jsonb NOT NULL DEFAULT '[]',
	PRIMARY KEY (sink, source, source_table, destination, kind))`

var driftComments = []string{
	`COMMENT ON TABLE sluice.drift IS 'What sluice verify found last: rows that are not what the source and the mapping say, by table and kind'`,
	`COMMENT ON COLUMN sluice.drift.kind IS 'missing, extra, different, or undecided (changed too often to say, which is no drift)'`,
	`COMMENT ON COLUMN sluice.drift.commit_lsn IS 'The last position that rows were proven at, 0/0 when none were suspected'`,
	`COMMENT ON COLUMN sluice.drift.sample IS 'The first rows of the kind: their keys, and the columns that differ'`,
}

// apart runs f on a session of its own, beside the one that applies.
func (s *Sink) apart(ctx context.Context, doing string, f func() error) error {
	conn, cfg, err := connect(ctx, s.o.DSN)
	if err != nil {
		return s.wrap(doing, "", err)
	}
	s.conn, s.user, s.database = conn, cfg.User, cfg.Database
	defer s.disconnect()
	return s.wrap(doing, "", f())
}

// SaveDrift writes what was found. whole says that it is all of the sink: what stands there of other tables goes. It
// must not be called on a Sink that applies.
func (s *Sink) SaveDrift(ctx context.Context, all []sink.Drift, whole bool) error {
	return s.apart(ctx, "write to "+driftTable, func() error {
		if err := s.setUpDrift(ctx); err != nil {
			return err
		}
		if _, err := s.exec(ctx, "BEGIN"); err != nil {
			return err
		}
		for i := range all {
			if err := s.saveDrift(ctx, &all[i]); err != nil {
				return err
			}
		}
		if whole && len(all) > 0 {
			oldest := slices.MinFunc(all, func(a, b sink.Drift) int { return a.VerifiedAt.Compare(b.VerifiedAt) })
			if _, err := s.exec(ctx, "DELETE FROM sluice.drift WHERE sink = $1 AND source = $2 AND verified_at < $3", s.o.Name, s.o.Source, stamp(oldest.VerifiedAt)); err != nil {
				return err
			}
		}
		_, err := s.exec(ctx, "COMMIT")
		return err
	})
}

func (s *Sink) setUpDrift(ctx context.Context) error {
	have, err := s.present(ctx, driftTable)
	if err != nil || have {
		return err
	}
	steps := []string{"BEGIN", "SELECT pg_catalog.pg_advisory_xact_lock(" + strconv.FormatInt(lockKey("setup"), 10) + ")", createDrift}
	return s.execAll(ctx, slices.Concat(steps, driftComments, []string{"COMMIT"}))
}

func (s *Sink) saveDrift(ctx context.Context, d *sink.Drift) error {
	counts := d.Kinds()
	counts["undecided"] = d.Undecided
	for kind, rows := range counts {
		sample := d.Samples[kind]
		if sample == nil {
			sample = []byte("[]")
		}
		_, err := s.exec(ctx, `INSERT INTO sluice.drift (sink, source, source_table, destination, kind, rows, verified_at, commit_lsn, sample)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (sink, source, source_table, destination, kind)
			DO UPDATE SET rows = EXCLUDED.rows, verified_at = EXCLUDED.verified_at, commit_lsn = EXCLUDED.commit_lsn, sample = EXCLUDED.sample`,
			s.o.Name, s.o.Source, d.Table, d.Destination, kind, rows, stamp(d.VerifiedAt), d.Position, []byte(sample))
		if err != nil {
			return err
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.999999Z07:00") }

// LoadDrift gives what was found last; nothing when the sink was never verified. It must not be called on a Sink that
// applies.
func (s *Sink) LoadDrift(ctx context.Context) (all []sink.Drift, err error) {
	err = s.apart(ctx, "read "+driftTable, func() error {
		have, err := s.present(ctx, driftTable)
		if err != nil || !have {
			return err
		}
		rows, err := s.query(ctx, `SELECT source_table, destination, kind, rows, (extract(epoch FROM verified_at) * 1000000)::bigint, commit_lsn
			FROM sluice.drift WHERE sink = $1 AND source = $2`, s.o.Name, s.o.Source)
		if err != nil {
			return err
		}
		all, err = driftOf(rows)
		return err
	})
	return all, err
}

func driftOf(rows [][][]byte) (all []sink.Drift, err error) {
	for _, r := range rows {
		i := slices.IndexFunc(all, func(d sink.Drift) bool { return d.Table == string(r[0]) && d.Destination == string(r[1]) })
		if i < 0 {
			i = len(all)
			all = append(all, sink.Drift{Table: string(r[0]), Destination: string(r[1])})
		}
		d := &all[i]
		kinds := map[string]*int64{"missing": &d.Missing, "extra": &d.Extra, "different": &d.Different, "undecided": &d.Undecided}
		micros, err := strconv.ParseInt(string(r[4]), 10, 64)
		if err != nil {
			return nil, err
		}
		d.VerifiedAt = time.UnixMicro(micros).UTC()
		if d.Position, err = change.ParseLSN(string(r[5])); err != nil {
			return nil, err
		}
		if n := kinds[string(r[2])]; n != nil {
			if *n, err = strconv.ParseInt(string(r[3]), 10, 64); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(all, func(a, b sink.Drift) int {
		return cmp.Or(strings.Compare(a.Table, b.Table), strings.Compare(a.Destination, b.Destination))
	})
	return all, nil
}
