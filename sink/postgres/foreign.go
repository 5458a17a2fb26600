package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// foreignTable is where locks record what others wrote.
const foreignTable = "sluice.foreign_writes"

const createForeign = `CREATE TABLE IF NOT EXISTS sluice.foreign_writes (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	sink text NOT NULL,
	source text NOT NULL,
	destination text NOT NULL,
	operation text NOT NULL,
	rows bigint NOT NULL DEFAULT 1,
	key jsonb,
	columns text[],
	login text NOT NULL DEFAULT session_user,
	role text NOT NULL DEFAULT coalesce(nullif(pg_catalog.current_setting('role'), 'none'), session_user),
	application_name text NOT NULL DEFAULT pg_catalog.current_setting('application_name'),
	client_addr inet DEFAULT pg_catalog.inet_client_addr(),
	pid integer NOT NULL DEFAULT pg_catalog.pg_backend_pid(),
	transaction xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
	trigger text,
	seen boolean NOT NULL DEFAULT false)`

var foreignComments = []string{
	`COMMENT ON TABLE sluice.foreign_writes IS 'Writes of others to synced columns of locked tables, the newest of the last 30 days'`,
	`COMMENT ON COLUMN sluice.foreign_writes.destination IS 'The table, quoted as in SQL'`,
	`COMMENT ON COLUMN sluice.foreign_writes.rows IS 'How many rows: 1 with the key of a row; of a statement with many, the number of those without a record of their own; 1 for a TRUNCATE'`,
	`COMMENT ON COLUMN sluice.foreign_writes.columns IS 'The synced columns that an UPDATE changed'`,
	`COMMENT ON COLUMN sluice.foreign_writes.login IS 'session_user'`,
	`COMMENT ON COLUMN sluice.foreign_writes.role IS 'The role that the session had set'`,
	`COMMENT ON COLUMN sluice.foreign_writes.trigger IS 'Where a trigger wrote in a transaction of the sink: the calls that led there'`,
	`COMMENT ON COLUMN sluice.foreign_writes.seen IS 'The sink has counted it'`,
}

const (
	// foreignKept and foreignDays bound the table, for each sink.
	foreignKept = 10_000
	foreignDays = 30
)

// setUpLock makes what the locks of all sinks share where it is absent.
func (s *Sink) setUpLock(ctx context.Context) error {
	for _, name := range []string{writerSequence, foreignTable} {
		have, err := s.present(ctx, name)
		if err != nil {
			return err
		}
		if !have {
			lock := "SELECT pg_catalog.pg_advisory_xact_lock(" + strconv.FormatInt(lockKey("setup"), 10) + ")"
			return s.execAll(ctx, slices.Concat([]string{"BEGIN", lock}, createWriter, []string{createForeign}, foreignComments, []string{"COMMIT"}))
		}
	}
	return nil
}

// readForeign takes what is new in the table, for whoever asks Foreign.
func (s *Sink) readForeign(ctx context.Context) error {
	rows, err := s.query(ctx, `UPDATE sluice.foreign_writes SET seen = true WHERE NOT seen AND sink = $1 AND source = $2
		RETURNING destination, operation, rows, (extract(epoch FROM at) * 1000000)::bigint, login, application_name,
			coalesce(pg_catalog.host(client_addr), ''), pg_catalog.array_to_json(columns), trigger IS NOT NULL`, s.o.Name, s.o.Source)
	for _, r := range rows {
		s.foreign = append(s.foreign, foreignWrite(r))
	}
	s.foreignAt = time.Now()
	return err
}

func foreignWrite(r [][]byte) sink.ForeignWrite {
	w := sink.ForeignWrite{Table: string(r[0]), Operation: string(r[1]), Login: string(r[4]), Application: string(r[5]), Client: string(r[6]), Trigger: string(r[8]) == "t"}
	if schema, name, err := change.ParseName(w.Table); err == nil {
		w.Table = change.FormatName(schema, name)
	}
	w.Rows, _ = strconv.ParseInt(string(r[2]), 10, 64)
	micros, _ := strconv.ParseInt(string(r[3]), 10, 64)
	w.At = time.UnixMicro(micros).UTC()
	_ = json.Unmarshal(r[7], &w.Columns) // NULL is none
	return w
}

// trimForeign drops what is old.
func (s *Sink) trimForeign(ctx context.Context) error {
	_, err := s.exec(ctx, fmt.Sprintf(`DELETE FROM sluice.foreign_writes WHERE sink = $1 AND source = $2 AND (at < pg_catalog.now() - interval '%d days'
		OR id <= (SELECT id FROM sluice.foreign_writes WHERE sink = $1 AND source = $2 ORDER BY id DESC OFFSET %d LIMIT 1))`, foreignDays, foreignKept), s.o.Name, s.o.Source)
	return err
}

// Foreign implements sink.Watcher.
func (s *Sink) Foreign() []sink.ForeignWrite {
	writes := s.foreign
	s.foreign = nil
	return writes
}
