package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// repairsTable is where a destination remembers which gap its tables were last repaired after. The keys of rows
// that came since stand in a table beside it, until the sweep.
const repairsTable = "sluice.repairs"

const createRepairs = `CREATE TABLE IF NOT EXISTS sluice.repairs (
	sink text NOT NULL,
	source text NOT NULL,
	destination text NOT NULL,
	slice text NOT NULL DEFAULT '',
	gap pg_lsn NOT NULL,
	columns text NOT NULL DEFAULT '',
	swept boolean NOT NULL DEFAULT false,
	PRIMARY KEY (sink, source, destination, slice))`

var repairsComments = []string{
	`COMMENT ON TABLE sluice.repairs IS 'The last gap in the source''s log after which each table was repaired. Written in the same transaction as the rows.'`,
	`COMMENT ON COLUMN sluice.repairs.destination IS 'The destination table, quoted as in SQL'`,
	`COMMENT ON COLUMN sluice.repairs.slice IS 'Which rows of it come from one source table, where several fill it'`,
	`COMMENT ON COLUMN sluice.repairs.gap IS 'The position of the mark of the gap in the transaction topic'`,
	`COMMENT ON COLUMN sluice.repairs.columns IS 'The key by which rows were kept'`,
	`COMMENT ON COLUMN sluice.repairs.swept IS 'Rows that were deleted at the source in the gap have gone by the delete policy'`,
}

// keeping is the repair of a destination table that the session has looked up.
type keeping struct {
	gap  change.LSN
	kept string // the table of keys in SQL; empty when there is nothing to keep any more
}

// keepRows notes the keys of the rows that a plan leaves in a table under repair.
func (s *Sink) keepRows(ctx context.Context, tp *tablePlan) error {
	if tp.keep == 0 {
		return nil
	}
	k, err := s.keeping(ctx, tp.t, tp.keep)
	if err != nil || k.kept == "" {
		return err
	}
	t := tp.t
	st := statement{kind: "keep", cols: t.key, sql: func(as arrays) string {
		return "INSERT INTO " + k.kept + " SELECT " + t.casts(t.key, as) + " FROM " + t.source(t.key, as) + " ON CONFLICT DO NOTHING"
	}}
	return s.run(ctx, tp, st, func(e *entry) change.Row {
		if e.keep && (e.row != nil || e.wait == waitBegins) {
			return e.id
		}
		return nil
	})
}

// keeping gives the repair of a table after a gap, beginning it when it is new.
func (s *Sink) keeping(ctx context.Context, t *target, gap change.LSN) (keeping, error) {
	if k, ok := s.keeps[t.name]; ok && k.gap == gap {
		return k, nil
	}
	if err := s.flush(ctx); err != nil {
		return keeping{}, err
	}
	k, err := s.lookUpRepair(ctx, t, gap)
	if err == nil {
		s.keeps[t.name] = k
	}
	return k, err
}

func (s *Sink) lookUpRepair(ctx context.Context, t *target, gap change.LSN) (keeping, error) {
	k := keeping{gap: gap, kept: s.keptName(t.name)}
	rows, err := s.query(ctx, `SELECT gap >= $4::pg_lsn, gap = $4::pg_lsn AND NOT swept, columns FROM sluice.repairs
		WHERE sink = $1 AND source = $2 AND destination = $3 AND slice = ''`, s.o.Name, s.o.Source, t.name, gap)
	switch {
	case err != nil:
		return k, err
	case len(rows) == 0 || string(rows[0][0]) == "f":
		return k, s.beginRepair(ctx, t, k)
	case string(rows[0][1]) == "f":
		k.kept = ""
	case string(rows[0][2]) != t.keyList(""):
		s.log.Error("the key of a table has changed while it was repaired after a gap: rows that were deleted in the gap stay; cause another repair to delete them",
			"table", t.name, "gap", gap)
		k.kept = ""
		_, err = s.exec(ctx, `UPDATE sluice.repairs SET swept = true WHERE sink = $1 AND source = $2 AND destination = $3`, s.o.Name, s.o.Source, t.name)
	}
	return k, err
}

// keptName names the table of the keys that are kept of a destination table.
func (s *Sink) keptName(destination string) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%s", s.o.Name, s.o.Source, destination)
	return fmt.Sprintf("sluice.kept_%016x", h.Sum64())
}

// beginRepair makes the table of keys, empty.
func (s *Sink) beginRepair(ctx context.Context, t *target, k keeping) error {
	err := s.execAll(ctx, []string{
		"DROP TABLE IF EXISTS " + k.kept,
		"CREATE TABLE " + k.kept + " AS SELECT " + t.keyList("") + " FROM " + t.name + " WITH NO DATA",
		"ALTER TABLE " + k.kept + " ADD PRIMARY KEY (" + t.keyList("") + ")",
		"COMMENT ON TABLE " + k.kept + " IS " + literal("Keys of the rows of "+t.name+" that came since a gap, for the sink "+s.o.Name+": the others go when its repair ends"),
	})
	if err != nil {
		return err
	}
	if _, err := s.exec(ctx, `DELETE FROM sluice.repairs WHERE sink = $1 AND source = $2 AND destination = $3`, s.o.Name, s.o.Source, t.name); err != nil {
		return err
	}
	_, err = s.exec(ctx, `INSERT INTO sluice.repairs (sink, source, destination, gap, columns) VALUES ($1, $2, $3, $4, $5)`,
		s.o.Name, s.o.Source, t.name, k.gap, t.keyList(""))
	return err
}

// sweep deletes, by the table's policy, what was not kept. A table without key is emptied: its rows follow.
func (s *Sink) sweep(ctx context.Context, p *plan, tp *tablePlan, c *change.Change) error {
	if err := s.execute(ctx, p); err != nil {
		return err
	}
	t := tp.t
	if len(t.key) == 0 {
		return s.replace(t, c)
	}
	k, err := s.keeping(ctx, t, c.Keep)
	if err == nil {
		err = s.flush(ctx) // also the keys
	}
	if err != nil || k.kept == "" {
		return err
	}
	slice, args := t.sliceSQL(c, nil)
	first, err := s.markSwept(ctx, t, c, slice, args)
	if err != nil || !first {
		return err
	}
	if err := s.sweepWaits(ctx, t, c, k); err != nil {
		return err
	}
	if t.opt.Deletes != Ignore {
		if err := s.sweepRows(ctx, t, c, k); err != nil {
			return err
		}
	}
	if t.opt.Shared {
		return nil // others that fill it may still need the keys
	}
	s.keeps[t.name] = keeping{gap: c.Keep}
	_, err = s.exec(ctx, "DROP TABLE "+k.kept)
	return err
}

// replace empties a table without key.
func (s *Sink) replace(t *target, c *change.Change) error {
	if t.opt.Deletes == Ignore {
		return &sink.HeldError{Table: t.opt.From, Why: sink.HoldValues, Reason: "the table has no key and is repaired after a gap: its rows cannot be told apart, so that " + t.name +
			" must be emptied first, and deletes is ignore. Set deletes: hard for the table until the repair is over, or empty " + t.name + " and leave it out"}
	}
	sql, args := t.truncateSQL(c)
	s.queue.add(sql, args, expect{t: t, rows: -1})
	return nil
}

// markSwept notes the sweep of a slice of a table and tells whether it is the first after its gap: capture may
// repeat one, when nothing is kept any more.
func (s *Sink) markSwept(ctx context.Context, t *target, c *change.Change, slice string, args [][]byte) (bool, error) {
	if slice != "" {
		var values []string
		for _, a := range args {
			values = append(values, string(a))
		}
		slice = slice + " " + strings.Join(values, ",")
	}
	rows, err := s.query(ctx, `INSERT INTO sluice.repairs AS r (sink, source, destination, slice, gap, columns, swept) VALUES ($1, $2, $3, $4, $5, '', true)
		ON CONFLICT (sink, source, destination, slice) DO UPDATE SET gap = EXCLUDED.gap, swept = true WHERE r.gap < EXCLUDED.gap OR NOT r.swept
		RETURNING 1`, s.o.Name, s.o.Source, t.name, slice, c.Keep)
	return len(rows) == 1, err
}

func (s *Sink) sweepRows(ctx context.Context, t *target, c *change.Change, k keeping) error {
	var args [][]byte
	if t.opt.Deletes == Soft {
		args = t.softArgs(nil)
	}
	rows, args := t.straysSQL(c, k, args)
	sql, args := t.goneSQL(c, rows, args)
	tag := s.conn.ExecParams(ctx, sql, args, nil, nil, nil).Read()
	if tag.Err != nil {
		return s.wrap(doApply, t.name, tag.Err)
	}
	s.log.Info("table repaired after a gap: rows that are no more at the source have gone by the delete policy",
		"table", t.name, "rows", tag.CommandTag.RowsAffected(), "gap", c.Keep)
	return nil
}

// straysSQL is the WHERE of the rows of d that a sweep removes.
func (t *target) straysSQL(c *change.Change, k keeping, args [][]byte) (string, [][]byte) {
	slice, args := t.sliceSQL(c, args)
	same := list(t.key, " AND ", func(_, i int) string { return "k." + t.cols[i].quoted + " = d." + t.cols[i].quoted })
	rows := " WHERE NOT EXISTS (SELECT FROM " + k.kept + " AS k WHERE " + same + ")" + t.live("d")
	if slice != "" {
		rows += " AND " + slice
	}
	return rows, args
}
