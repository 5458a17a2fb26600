package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/sluicecdc/sluice/bench/load"
	"github.com/sluicecdc/sluice/internal/change"
)

// liveRate is how many transactions a second change the table while it is copied, in an open loop.
const liveRate = 1000

// live is what was seen while a table was copied among changes of it.
type live struct {
	sample
	Rows         int64     `json:"rows"`
	Transactions int64     `json:"transactions"`
	Latency      []float64 `json:"latency_seconds"`    // of the stream, from commit until Kafka holds it; ascending
	Oldest       float64   `json:"oldest_transaction"` // of ours at the source, in seconds
}

// live copies a table while it is changed.
func (b *bench) live(ctx context.Context, w io.Writer) error {
	job := drainJob{bench: b, database: "bench_l", name: "l"}
	if err := b.postgres.CreateDatabase(ctx, job.database); err != nil {
		return err
	}
	job.dsn = b.postgres.DSN(job.database)
	conn, err := pgx.Connect(ctx, job.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := load.CreateOrders(ctx, conn); err != nil {
		return err
	}
	if err := (load.Orders{Seed: seed, First: 1, Rows: b.rows, Commit: 100_000}).Insert(ctx, conn); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "vacuum analyze orders"); err != nil {
		return err
	}
	r := live{Rows: b.rows}
	r.sample, err = job.capture(ctx, "{workers: 2}", func(ctx context.Context, console int) error {
		return r.watch(ctx, job.dsn, console)
	})
	if err != nil {
		return err
	}
	slices.Sort(r.Latency)
	at := func(q float64) float64 { return 1000 * r.Latency[int(q*float64(len(r.Latency)-1))] }
	fmt.Fprintf(w, "L: %d rows copied in %.1f s among %d transactions (%.0f/s): %.0f rows/s, %.2f µs CPU a row, peak %.0f MB\n"+
		"   the stream meanwhile: %.0f ms median, %.0f ms 99%%, %.0f ms at most, of %d looks; oldest transaction of ours %.0f ms\n",
		r.Rows, r.Seconds, r.Transactions, float64(r.Transactions)/r.Seconds, float64(r.Rows)/r.Seconds, 1e6*r.CPU/float64(r.Rows), r.PeakMB,
		at(0.5), at(0.99), at(1), len(r.Latency), 1000*r.Oldest)
	return nil
}

// watch changes rows and looks at the stream until the copy is done.
func (r *live) watch(ctx context.Context, dsn string, console int) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, gctx := errgroup.WithContext(ctx)
	var done atomic.Int64
	for i := range 4 {
		g.Go(func() error { return changeRows(gctx, dsn, uint64(i), r.Rows, &done) })
	}
	g.Go(func() error { return r.probe(gctx, dsn, console) })
	g.Go(func() error { return r.age(gctx, dsn) })
	g.Go(func() error {
		defer stop()
		return awaitCopied(gctx, console)
	})
	err := g.Wait()
	r.Transactions = done.Load()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// changeRows commits a quarter of liveRate, by the clock.
func changeRows(ctx context.Context, dsn string, seed uint64, rows int64, done *atomic.Int64) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rnd := rand.New(rand.NewPCG(seed, 1))
	for next := time.Now(); ctx.Err() == nil; next = next.Add(4 * time.Second / liveRate) {
		time.Sleep(time.Until(next))
		if _, err := conn.Exec(ctx, "update orders set amount = amount + 1, updated_at = now() where id = $1", 1+rnd.Int64N(rows)); err != nil {
			return unlessOver(ctx, err)
		}
		done.Add(1)
	}
	return nil
}

func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// probe measures how long after a commit Kafka holds it, again and again.
func (r *live) probe(ctx context.Context, dsn string, console int) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for ctx.Err() == nil { // the start of the process is not the stream
		if durable, err := durableLSN(ctx, console); err == nil && durable > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	for ctx.Err() == nil {
		var text string
		if _, err := conn.Exec(ctx, "update orders set active = not active where id = 1"); err != nil {
			return unlessOver(ctx, err)
		}
		begun := time.Now()
		if err := conn.QueryRow(ctx, "select pg_current_wal_lsn()::text").Scan(&text); err != nil {
			return unlessOver(ctx, err)
		}
		lsn, err := change.ParseLSN(text)
		if err != nil {
			return err
		}
		for ctx.Err() == nil {
			if durable, err := durableLSN(ctx, console); err == nil && durable >= lsn {
				r.Latency = append(r.Latency, time.Since(begun).Seconds())
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// age samples how old the oldest transaction of ours is.
func (r *live) age(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	const q = `select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8 from pg_stat_activity
		where application_name = 'sluice' and backend_type = 'client backend' and state <> 'idle'`
	for ctx.Err() == nil {
		var age float64
		if err := conn.QueryRow(ctx, q).Scan(&age); err != nil {
			return unlessOver(ctx, err)
		}
		r.Oldest = max(r.Oldest, age)
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
