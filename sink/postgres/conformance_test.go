package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
	"github.com/sluicecdc/sluice/sink/sinktest"
)

// versions are the oldest and newest servers that tests run on.
var versions = []int{15, 18}

func TestConformance(t *testing.T) {
	for _, version := range versions {
		for _, lock := range []postgres.LockMode{postgres.LockNone, postgres.LockEnforce} {
			t.Run(fmt.Sprint("PostgreSQL ", version, ", lock ", lock), func(t *testing.T) {
				sinktest.Run(t, func(t *testing.T) sinktest.Destination {
					d := newDatabase(t, harness.SharedPostgres(t, version))
					d.lock = lock
					return d
				})
			})
		}
	}
}

// database is one fresh destination with a session to look at it.
type database struct {
	dsn   string
	admin string // the superuser's, where dsn is another's
	lock  postgres.LockMode
	conn  *pgconn.PgConn
}

func newDatabase(t *testing.T, server *harness.PG) *database {
	t.Helper()
	d := &database{dsn: server.NewDatabase()}
	conn, err := pgconn.Connect(context.Background(), d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	d.conn = conn
	return d
}

func (d *database) Open(t *testing.T, tables []sink.Table) sink.Sink {
	t.Helper()
	return d.open(t, sink.Config{Tables: tables})
}

func (d *database) open(t *testing.T, c sink.Config) *postgres.Sink {
	t.Helper()
	return d.openAs(t, "billing", "crm", c)
}

func (d *database) openAs(t *testing.T, name, source string, c sink.Config) *postgres.Sink {
	t.Helper()
	c.Name, c.Source, c.Type = name, source, "postgres"
	o, err := postgres.FromConfig(c, postgres.Config{DSN: d.dsn, Lock: d.lock}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := postgres.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (d *database) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := d.conn.Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// rows runs a query and gives its rows as text.
func (d *database) rows(t *testing.T, sql string) []sinktest.Row {
	t.Helper()
	r := d.conn.ExecParams(context.Background(), sql, nil, nil, nil, nil).Read()
	if r.Err != nil {
		t.Fatalf("%s: %v", sql, r.Err)
	}
	var out []sinktest.Row
	for _, values := range r.Rows {
		row := sinktest.Row{}
		for i, f := range r.FieldDescriptions {
			row[f.Name] = nil
			if values[i] != nil {
				v := string(values[i])
				row[f.Name] = &v
			}
		}
		out = append(out, row)
	}
	return out
}

func (d *database) Rows(t *testing.T, schema, name string) []sinktest.Row {
	t.Helper()
	table := quote(schema) + "." + quote(name)
	r := d.conn.ExecParams(context.Background(), "SELECT to_regclass($1) IS NULL", [][]byte{[]byte(table)}, nil, nil, nil).Read()
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if string(r.Rows[0][0]) == "t" {
		return nil
	}
	return d.rows(t, "SELECT * FROM "+table)
}

// Awaits tells the suite that rows of which values did not travel do not hold the sink.
func (d *database) Awaits() bool { return true }

func (d *database) Fence(t *testing.T) {
	t.Helper()
	d.exec(t, "UPDATE sluice.progress SET epoch = epoch + 1")
}
