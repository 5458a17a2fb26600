package capture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sluicecdc/sluice/internal/change"
)

// dialTimeout leaves room for a log line about an unreachable server within 5 s of the start.
const dialTimeout = 4 * time.Second

// poolSize is for the catalogue, the heartbeat, the visibility of transactions and the lock of a slot's creation.
const poolSize = 4

// source is the server on its ordinary connections.
type source struct {
	pool  *pgxpool.Pool
	ask   asker  // where the catalogue is asked: the pool, or one transaction of it
	where string // host:port/database, for people

	database string
	user     string
	version  int  // server_version_num
	standby  bool // in recovery: nothing can be written, the heartbeat neither
	iso      bool // Config.TimestamptzISO
}

// asker takes questions to the catalogue.
type asker interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Begin(ctx context.Context) (pgx.Tx, error)
}

// within gives the source as a transaction sees it.
func (s *source) within(tx pgx.Tx) *source {
	inside := *s
	inside.ask = tx
	return &inside
}

// openSource connects and asks who the server is. It tries once.
func openSource(ctx context.Context, cfg Config) (*source, error) {
	pc, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, fatal(fmt.Errorf("cannot read source.dsn: %w", err))
	}
	prepare(&pc.ConnConfig.Config)
	pc.MaxConns, pc.MinConns = poolSize, 0
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("cannot set up connections to %s: %w", address(&pc.ConnConfig.Config), err)
	}
	s := &source{pool: pool, ask: pool, where: address(&pc.ConnConfig.Config), iso: cfg.TimestamptzISO}
	if err := s.identify(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("cannot connect to the source %s: %w", s.where, err)
	}
	return s, nil
}

func (s *source) identify(ctx context.Context) error {
	const q = `SELECT current_database(), current_user, current_setting('server_version_num')::int, pg_is_in_recovery()`
	if err := s.pool.QueryRow(ctx, q).Scan(&s.database, &s.user, &s.version, &s.standby); err != nil {
		return err
	}
	if s.version < minVersion {
		return fatal(fmt.Errorf("it is PostgreSQL %d: binary tuples and logical messages need 14 or later", s.version/10000))
	}
	return nil
}

// minVersion is the first that sends binary tuples and logical messages.
const minVersion = 140000

func (s *source) close() { s.pool.Close() }

// prepare sets what every connection to the source has in common.
func prepare(c *pgconn.Config) {
	if c.ConnectTimeout == 0 || c.ConnectTimeout > dialTimeout {
		c.ConnectTimeout = dialTimeout
	}
	maps.Copy(c.RuntimeParams, change.SessionSettings)
	c.RuntimeParams["client_encoding"] = "UTF8"
	c.AfterConnect = readRaw
	c.RuntimeParams["application_name"] = "sluice"
	// Limits that are meant for people and applications would cut a copy short.
	c.RuntimeParams["statement_timeout"] = "0"
	c.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	// Questions to the catalogue have costs over jit_above_cost and take a millisecond: to compile them took half a
	// second on a busy machine, for which the stream waits.
	c.RuntimeParams["jit"] = "off"
}

// readRaw asks a database of encoding SQL_ASCII for its bytes as they are: it would refuse the whole
// stream at a value that is not UTF-8, where we can name the row.
func readRaw(ctx context.Context, conn *pgconn.PgConn) error {
	if conn.ParameterStatus("server_encoding") != "SQL_ASCII" {
		return nil
	}
	_, err := conn.Exec(ctx, "SET client_encoding = 'SQL_ASCII'").ReadAll()
	return err
}

func address(c *pgconn.Config) string {
	return net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + "/" + c.Database
}

// quote makes an SQL identifier of a name.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// quoteTable makes schema.table of two names.
func quoteTable(schema, name string) string { return pgx.Identifier{schema, name}.Sanitize() }

// slotInfo is what pg_replication_slots says of ours.
type slotInfo struct {
	Exists    bool
	Active    bool
	PID       int
	Plugin    string
	Database  string
	Status    string // wal_status: reserved, extended, unreserved, lost
	Invalid   string // invalidation_reason of PostgreSQL 17
	Failover  bool   // standbys that synchronize slots keep a copy
	Confirmed change.LSN
	Bytes     int64 // of log that it holds back
	Safe      int64 // of log that can be written before it is lost; -1 when unlimited
}

// syncsSlots tells whether the server can have its standbys keep copies of slots (PostgreSQL 17), so that
// one which is promoted goes on where it left off.
func (s *source) syncsSlots() bool { return s.version >= 170000 && !s.standby }

func (s *source) slot(ctx context.Context, name string) (slotInfo, error) {
	failover, invalid := "false", "''"
	if s.version >= 170000 {
		failover, invalid = "failover", "coalesce(invalidation_reason, '')"
	}
	q := `
		SELECT active, coalesce(active_pid, 0), coalesce(plugin, ''), coalesce(database, ''), coalesce(wal_status, 'lost'),
			coalesce(confirmed_flush_lsn, '0/0')::text, coalesce(safe_wal_size, -1),
			coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn), 0)::bigint, ` + failover + ", " + invalid + `
		FROM pg_replication_slots WHERE slot_name = $1`
	i := slotInfo{Exists: true}
	var confirmed string
	err := s.pool.QueryRow(ctx, q, name).Scan(&i.Active, &i.PID, &i.Plugin, &i.Database, &i.Status, &confirmed, &i.Safe, &i.Bytes, &i.Failover, &i.Invalid)
	if errors.Is(err, pgx.ErrNoRows) {
		return slotInfo{}, nil
	}
	if err != nil {
		return slotInfo{}, fmt.Errorf("cannot ask %s for slot %s: %w", s.where, name, err)
	}
	i.Confirmed, err = change.ParseLSN(confirmed)
	return i, err
}
