package postgres

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// Columns of an archive table beside those of the table that it is for: when the row was deleted at the
// source, and the commit position of that.
const (
	archivedAt  = "sluice_deleted_at"
	archivedLSN = "sluice_commit_lsn"
)

// prepareArchive makes the archive table when it is absent, like the table but without its keys and
// constraints, since a row may be deleted again and again, and adds the columns that it lacks.
func (s *Sink) prepareArchive(ctx context.Context, t *target) error {
	t.archive = qualified(t.opt.ArchiveSchema, t.opt.ArchiveName)
	have, err := s.present(ctx, t.archive)
	if err != nil {
		return err
	}
	if !have {
		if err := s.createArchive(ctx, t); err != nil {
			return s.wrap("create", t.archive, err)
		}
	}
	if err := s.completeArchive(ctx, t); err != nil {
		return s.wrap(doUse, t.archive, err)
	}
	rows, err := s.query(ctx, `SELECT pg_catalog.quote_ident(attname) FROM pg_catalog.pg_attribute
		WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, t.name)
	for _, r := range rows {
		t.archived = append(t.archived, string(r[0]))
	}
	return err
}

func (s *Sink) createArchive(ctx context.Context, t *target) error {
	create := "CREATE TABLE " + t.archive + " AS TABLE " + t.name + " WITH NO DATA"
	if !s.o.Create {
		return refuse("run: "+create, "the archive table does not exist and create is false")
	}
	if err := s.createSchema(ctx, t.opt.ArchiveSchema); err != nil {
		return err
	}
	s.log.Info("creating an archive table", "table", t.archive)
	return s.execAll(ctx, []string{create,
		"COMMENT ON TABLE " + t.archive + " IS " + literal("Rows deleted from "+t.name+" by sluice, sink "+s.o.Name+", as they were")})
}

// completeArchive adds what the table has and the archive lacks.
func (s *Sink) completeArchive(ctx context.Context, t *target) error {
	rows, err := s.query(ctx, `WITH want AS (
			SELECT attname, pg_catalog.format_type(atttypid, atttypmod) AS typ, attnum FROM pg_catalog.pg_attribute
			WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped
			UNION ALL VALUES ('`+archivedAt+`'::name, 'timestamp with time zone', 20001), ('`+archivedLSN+`', 'pg_lsn', 20002))
		SELECT pg_catalog.quote_ident(attname) || ' ' || typ FROM want
		WHERE attname NOT IN (SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass($2) AND NOT attisdropped)
		ORDER BY attnum`, t.name, t.archive)
	if err != nil || len(rows) == 0 {
		return err
	}
	alter := "ALTER TABLE " + t.archive + " " + list(rows, ", ", func(_ int, r [][]byte) string { return "ADD COLUMN " + string(r[0]) })
	if s.o.Evolve == sink.EvolveNone {
		return s.hold(t, []step{{sql: alter, why: "its archive lacks columns that rows are archived with"}}, "")
	}
	_, err = s.exec(ctx, alter)
	return err
}

// archiveRows moves the rows that are gone, in chunks as run does, with two columns more.
func (s *Sink) archiveRows(ctx context.Context, tp *tablePlan) error {
	st := statement{kind: "archive", as: texts, sql: tp.t.archiveSQL}
	c := s.chunkOfTexts(len(tp.t.key) + 2)
	for i := range tp.entries {
		e := &tp.entries[i]
		if !e.gone {
			continue
		}
		var row change.Row
		for _, k := range tp.t.key {
			row = append(row, e.id[k])
		}
		for _, v := range archiveArgs(e.commit, e.time) {
			row = append(row, change.Value{Format: change.Text, Data: v})
		}
		if c.add(row); c.full() {
			if err := s.send(ctx, tp.t, st, c); err != nil {
				return err
			}
		}
	}
	return s.send(ctx, tp.t, st, c)
}

// archiveArgs are when and where in the log a row was deleted, as texts.
func archiveArgs(commit change.LSN, at change.Micros) [][]byte {
	when := time.UnixMicro(int64(at)).UTC().Format("2006-01-02 15:04:05.999999Z07:00")
	return [][]byte{[]byte(when), []byte(commit.String())}
}

// archiveSQL moves rows by key; the two arrays behind the keys are time and position.
func (t *target) archiveSQL(as arrays) string {
	n := len(t.key)
	types := make([]string, n+2)
	for i := range types {
		types[i] = textArray(i)
	}
	del := "DELETE FROM " + t.name + " AS d USING " + unnest(strings.Join(types, ", "), n+2) + " WHERE " + t.match(as)
	return t.moved(del, "u.c"+strconv.Itoa(n), "u.c"+strconv.Itoa(n+1))
}

// archiveOneSQL moves one row of a table without key; the parameters behind its values are time and
// position.
func (t *target) archiveOneSQL() string {
	n := len(t.cols)
	return t.moved(t.deleteOneSQL(), "$"+strconv.Itoa(n+1)+"::text", "$"+strconv.Itoa(n+2)+"::text")
}

// moved makes a move of a DELETE from d.
func (t *target) moved(del, at, lsn string) string {
	columns := list(t.archived, ", ", func(_ int, c string) string { return c })
	kept := list(t.archived, ", ", func(_ int, c string) string { return "d." + c })
	return "WITH gone AS (" + del + " RETURNING " + kept + ", " + at + "::timestamptz, " + lsn + "::pg_lsn)" +
		" INSERT INTO " + t.archive + " (" + columns + ", " + archivedAt + ", " + archivedLSN + ") SELECT * FROM gone"
}
