package postgres

import (
	"context"
)

// Teardown removes the locks and the checkpoint of this sink, then our tables and their schema when nothing else
// is in them. The data stays. It gives sink.ErrLeased while a process serves the sink.
func (s *Sink) Teardown(ctx context.Context) error {
	if err := s.session(ctx); err != nil {
		return s.wrap("tear down", progressTable, err)
	}
	defer s.disconnect()
	if err := s.unlock(ctx, nil); err != nil {
		return s.wrap("remove the locks of", "", err)
	}
	have, err := s.present(ctx, progressTable)
	if err == nil && have {
		err = s.removeProgress(ctx)
	}
	return s.wrap("tear down", progressTable, err)
}

func (s *Sink) removeProgress(ctx context.Context) error {
	if err := s.execAll(ctx, []string{"BEGIN", "LOCK TABLE sluice.progress IN ACCESS EXCLUSIVE MODE"}); err != nil {
		return err
	}
	if _, err := s.exec(ctx, "DELETE FROM sluice.progress WHERE sink = $1 AND source = $2", s.o.Name, s.o.Source); err != nil {
		return err
	}
	have, err := s.present(ctx, shapesTable)
	if err == nil && have {
		_, err = s.exec(ctx, "DELETE FROM sluice.shapes WHERE sink = $1 AND source = $2", s.o.Name, s.o.Source)
	}
	if err == nil {
		err = s.removeRepairs(ctx)
	}
	if err == nil {
		err = s.disown(ctx)
	}
	if err == nil {
		err = s.removeWaits(ctx)
	}
	if err == nil {
		err = s.removeDrift(ctx)
	}
	if err == nil {
		err = s.removeForeign(ctx)
	}
	if err != nil {
		return err
	}
	rows, err := s.query(ctx, "SELECT EXISTS (SELECT FROM sluice.progress)")
	if err != nil {
		return err
	}
	if string(rows[0][0]) == "f" {
		if err := s.dropProgress(ctx); err != nil {
			return err
		}
	}
	_, err = s.exec(ctx, "COMMIT")
	return err
}

// removeRepairs removes what is remembered of repairs, with the keys of those under way.
func (s *Sink) removeRepairs(ctx context.Context) error {
	have, err := s.present(ctx, repairsTable)
	if err != nil || !have {
		return err
	}
	rows, err := s.query(ctx, "DELETE FROM sluice.repairs WHERE sink = $1 AND source = $2 RETURNING destination", s.o.Name, s.o.Source)
	for _, r := range rows {
		if err == nil {
			_, err = s.exec(ctx, "DROP TABLE IF EXISTS "+s.keptName(string(r[0])))
		}
	}
	return err
}

// removeDrift removes what was found of this sink.
func (s *Sink) removeDrift(ctx context.Context) error {
	have, err := s.present(ctx, driftTable)
	if err == nil && have {
		_, err = s.exec(ctx, "DELETE FROM sluice.drift WHERE sink = $1 AND source = $2", s.o.Name, s.o.Source)
	}
	return err
}

// removeForeign removes what is recorded of others.
func (s *Sink) removeForeign(ctx context.Context) error {
	have, err := s.present(ctx, foreignTable)
	if err == nil && have {
		_, err = s.exec(ctx, "DELETE FROM sluice.foreign_writes WHERE sink = $1 AND source = $2", s.o.Name, s.o.Source)
	}
	return err
}

// dropProgress drops our tables, and the schema when it was the last thing in it.
func (s *Sink) dropProgress(ctx context.Context) error {
	err := s.execAll(ctx, []string{"DROP TABLE IF EXISTS sluice.progress, sluice.shapes, sluice.repairs, sluice.drift, sluice.owners, sluice.awaited, " + foreignTable, "DROP SEQUENCE IF EXISTS " + writerSequence})
	if err != nil {
		return err
	}
	rows, err := s.query(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_depend
		WHERE refclassid = 'pg_catalog.pg_namespace'::regclass AND refobjid = 'sluice'::regnamespace)`)
	if err != nil || string(rows[0][0]) == "t" {
		return err
	}
	_, err = s.exec(ctx, "DROP SCHEMA sluice")
	return err
}
