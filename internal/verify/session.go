package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// session is one connection.
type session struct {
	conn *pgconn.PgConn
	utf8 bool // the database can say its texts in UTF-8
}

// always are the settings of every session, beside those that texts depend on. Row security is an error instead of
// rows that are not seen.
var always = map[string]string{
	"client_encoding": "UTF8", "row_security": "off", "application_name": "sluice verify", "standard_conforming_strings": "on",
	"plan_cache_mode": "force_custom_plan", "statement_timeout": "0", "idle_in_transaction_session_timeout": "0",
}

// rawEncoding is that of databases whose texts are bytes in no encoding: asked for as they are.
const rawEncoding = "SQL_ASCII"

func dial(ctx context.Context, dsn string, settings map[string]string) (*session, error) {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("its dsn is not a PostgreSQL address")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, utf8: conn.ParameterStatus("server_encoding") != rawEncoding}
	var sql strings.Builder
	for _, all := range []map[string]string{always, settings} {
		for name, value := range all {
			if name == "client_encoding" && !s.utf8 {
				value = rawEncoding
			}
			sql.WriteString("SET " + ident(name) + " = " + literal(value) + ";")
		}
	}
	if err := s.run(ctx, sql.String()); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = s.conn.Close(ctx) // it only read
}

// run executes statements without parameters.
func (s *session) run(ctx context.Context, sql string) error {
	_, err := s.conn.Exec(ctx, sql).ReadAll()
	return err
}

// each gives every row of a query, texts that are valid during the call; nil is NULL.
func (s *session) each(ctx context.Context, q *query, f func(row [][]byte) error) error {
	r := s.conn.ExecParams(ctx, q.sql.String(), q.args, nil, nil, nil)
	for r.NextRow() {
		if err := f(r.Values()); err != nil {
			_, _ = r.Close() // the rest is not wanted
			return err
		}
	}
	_, err := r.Close()
	return err
}

// all gives every row of a query; NULL is empty.
func (s *session) all(ctx context.Context, q *query) (rows [][]string, err error) {
	err = s.each(ctx, q, func(row [][]byte) error {
		texts := make([]string, len(row))
		for i, v := range row {
			texts[i] = string(v)
		}
		rows = append(rows, texts)
		return nil
	})
	return rows, err
}

// one gives the only row of a query.
func (s *session) one(ctx context.Context, sql string, args ...string) ([]string, error) {
	rows, err := s.all(ctx, ask(sql, args...))
	if err == nil && len(rows) != 1 {
		err = fmt.Errorf("%d rows answer: %s", len(rows), sql)
	}
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

// snapshot runs f within one snapshot of a table. The lock comes first: TRUNCATE and rewrites are not safe for
// snapshots that are older. LOCK TABLE takes no snapshot.
func (s *session) snapshot(ctx context.Context, table string, f func() error) error {
	sql := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	if table != "" {
		sql += "; LOCK TABLE " + table + " IN ACCESS SHARE MODE"
	}
	err := s.run(ctx, sql)
	if err == nil {
		err = f()
	}
	end := "COMMIT"
	if err != nil {
		end = "ROLLBACK"
	}
	return errors.Join(err, s.run(context.WithoutCancel(ctx), end))
}

// query is a statement with text parameters that is being put together.
type query struct {
	sql  strings.Builder
	args [][]byte
}

func ask(sql string, args ...string) *query {
	q := &query{}
	q.sql.WriteString(sql)
	for _, a := range args {
		q.args = append(q.args, []byte(a))
	}
	return q
}

func (q *query) add(sql string) *query {
	q.sql.WriteString(sql)
	return q
}

// param adds a parameter of type text and writes where it stands.
func (q *query) param(value string) *query {
	q.args = append(q.args, []byte(value))
	fmt.Fprintf(&q.sql, "$%d::text", len(q.args))
	return q
}

// array adds a parameter of type text[].
func (q *query) array(values []byte) *query {
	q.args = append(q.args, values)
	fmt.Fprintf(&q.sql, "$%d::text[]", len(q.args))
	return q
}

// appendItem appends a value to the text of an array that began with "{"; closeArray ends it.
func appendItem(dst []byte, value []byte, null bool) []byte {
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	if null {
		return append(dst, "NULL"...)
	}
	dst = append(dst, '"')
	for _, b := range value {
		if b == '"' || b == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

func qualified(schema, name string) string { return pgx.Identifier{schema, name}.Sanitize() }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// list joins the pieces that f makes of each item.
func list[T any](items []T, sep string, f func(int, T) string) string {
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = f(i, item)
	}
	return strings.Join(parts, sep)
}
