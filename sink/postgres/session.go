package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
)

// sessionSettings make our sessions independent of the server's configuration: values are read and
// written in the source's text forms; a dead network path frees the lease within a minute instead of
// hours; a huge transaction is not cut by a timeout meant for applications. Plans are made for the
// parameters at hand: a generic plan from when the table was empty would scan it for every batch. A commit does not wait
// for the disk: if the server dies, what it loses is lost with its checkpoint, and comes again from Kafka.
func sessionSettings() map[string]string {
	m := map[string]string{
		"application_name":                    "sluice",
		"client_encoding":                     "UTF8",
		"standard_conforming_strings":         "on",
		"plan_cache_mode":                     "force_custom_plan",
		"synchronous_commit":                  "off",
		"statement_timeout":                   "0",
		"idle_in_transaction_session_timeout": "0",
		"tcp_keepalives_idle":                 "20",
		"tcp_keepalives_interval":             "10",
		"tcp_keepalives_count":                "3",
	}
	for k, v := range change.SessionSettings {
		m[k] = v
	}
	return m
}

// connect opens a session. Settings that the DSN names itself are left as they are, except for the
// text forms of values. They are made by SET: poolers refuse connections that ask for them at the start.
func connect(ctx context.Context, dsn string) (*pgconn.PgConn, *pgconn.Config, error) {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, nil, refuse("correct dsn", "dsn is not a PostgreSQL address")
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	var set strings.Builder
	for k, v := range sessionSettings() {
		if _, own := cfg.RuntimeParams[k]; !own || change.SessionSettings[k] != "" {
			set.WriteString("SET " + ident(k) + " = " + literal(v) + ";")
		}
	}
	if _, err := conn.Exec(ctx, set.String()).ReadAll(); err != nil {
		_ = conn.Close(ctx)
		return nil, nil, err
	}
	return conn, cfg, nil
}

// query runs one statement with text parameters and gives its rows as text.
func (s *Sink) query(ctx context.Context, sql string, args ...any) ([][][]byte, error) {
	r := s.conn.ExecParams(ctx, sql, textArgs(args), nil, nil, nil).Read()
	return r.Rows, r.Err
}

// exec runs one statement and gives the number of rows it touched.
func (s *Sink) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	r := s.conn.ExecParams(ctx, sql, textArgs(args), nil, nil, nil).Read()
	return r.CommandTag.RowsAffected(), r.Err
}

// textArgs gives parameters in text form; nil is NULL.
func textArgs(args []any) [][]byte {
	out := make([][]byte, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case nil:
		case []byte:
			out[i] = v
		default:
			out[i] = fmt.Append([]byte{}, v) // nil would be NULL
		}
	}
	return out
}
