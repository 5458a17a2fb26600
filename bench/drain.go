package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/bench/load"
)

// contender drains a backlog from its own slot.
type contender struct {
	name  string
	drain func(ctx context.Context, d drainJob) (sample, error)
}

// drainJob is one drain: everything up to target from the slot.
type drainJob struct {
	*bench
	database string
	dsn      string
	name     string // of the run: source name and slot suffix
	target   string // LSN
}

func (b *bench) contenders() []contender {
	return []contender{
		{"sluice capture into Kafka", drainSluice},
		{"pg_recvlogical to /dev/null, text", recvlogical("")},
		{"pg_recvlogical to /dev/null, binary", recvlogical("binary")},
	}
}

// drain loads a backlog and has every contender drain it, in turn.
func (b *bench) drain(ctx context.Context, w workload) (result, error) {
	job := drainJob{bench: b, database: "bench_" + w.name}
	r := result{Workload: strings.ToUpper(w.name), Title: w.title, Rows: w.orders(b.plan).Rows}
	if err := b.postgres.CreateDatabase(ctx, job.database); err != nil {
		return r, err
	}
	job.dsn = b.postgres.DSN(job.database)
	conn, err := pgx.Connect(ctx, job.dsn)
	if err != nil {
		return r, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := b.backlog(ctx, conn, w); err != nil {
		return r, err
	}
	if job.target, err = mark(ctx, conn); err != nil {
		return r, err
	}
	for run := range b.runs {
		for i, c := range b.contenders() {
			job.name = w.runName(i, run)
			// What the servers still have to write to disk must not fall into somebody's time.
			if _, err := conn.Exec(ctx, "checkpoint"); err != nil {
				return r, err
			}
			s, err := c.drain(ctx, job)
			if err != nil {
				return r, fmt.Errorf("%s: %w", c.name, err)
			}
			r.add(c.name, s)
			if err := dropSlot(ctx, conn, "sluice_"+job.name); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// dropSlot drops the slot once its walsender has noticed that the reader is gone.
func dropSlot(ctx context.Context, conn *pgx.Conn, name string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		_, err := conn.Exec(ctx, "select pg_drop_replication_slot($1)", name)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "55006" { // object_in_use
			return err
		}
		<-tick.C
	}
	return fmt.Errorf("slot %s stays in use", name)
}

// mark gives the end of the backlog and commits one row more behind it, so that a reader passes the
// end by reading and not by waiting for something to happen.
func mark(ctx context.Context, conn *pgx.Conn) (lsn string, err error) {
	if err := conn.QueryRow(ctx, "select pg_current_wal_insert_lsn()::text").Scan(&lsn); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "insert into orders (id) values (-1)")
	return lsn, err
}

// runName is the source's name of one drain: no two share topics or a slot.
func (w workload) runName(contender, run int) string {
	return fmt.Sprintf("%s_c%d_r%d", w.name, contender, run)
}

// backlog makes the slots, one for each drain, and then the changes.
func (b *bench) backlog(ctx context.Context, conn *pgx.Conn, w workload) error {
	if err := load.CreateOrders(ctx, conn); err != nil {
		return err
	}
	if w.update {
		o := w.orders(b.plan)
		o.Commit = 100_000
		if err := o.Insert(ctx, conn); err != nil {
			return err
		}
	}
	for i := range b.contenders() {
		for run := range b.runs {
			name := "sluice_" + w.runName(i, run)
			if _, err := conn.Exec(ctx, "create publication "+name+" for table orders with (publish_via_partition_root = true)"); err != nil {
				return err
			}
			if _, err := conn.Exec(ctx, "select pg_create_logical_replication_slot($1, 'pgoutput')", name); err != nil {
				return err
			}
		}
	}
	if w.update {
		return w.orders(b.plan).Update(ctx, conn)
	}
	return w.orders(b.plan).Insert(ctx, conn)
}
