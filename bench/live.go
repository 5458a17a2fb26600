package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/sluicecdc/sluice/internal/change"
)

// liveRate is how many transactions a second change the table while it is copied, in an open loop.
const liveRate = 1000

// live is what was seen while a table was copied among changes of it.
type live struct {
	Rows         int64
	Transactions int64
	Latency      []float64 // of the stream, from commit until Kafka holds it, in seconds
	Oldest       float64   // transaction of ours at the source, in seconds
}

// live copies a table while it is changed.
func (b *bench) live(ctx context.Context, name string) (result, error) {
	j := job{bench: b, backlog: backlogs("A", 5*b.rows), database: "bench_l"}
	r := b.newResult(name, j.rows)
	conn, err := j.prepare(ctx)
	if err != nil {
		return r, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := j.loadAll(ctx, conn); err != nil {
		return r, err
	}
	for run := range b.runs {
		j.name = runName(name, 0, run)
		l := live{Rows: j.rows}
		copying := contender{name: "sluice first copy, 2 workers", run: func(ctx context.Context, j job) (sample, error) {
			p, err := j.configure("{workers: 2}")
			if err != nil {
				return sample{}, err
			}
			return p.run(ctx, []string{"capture"}, func(ctx context.Context) error { return l.watch(ctx, p) })
		}}
		if err := j.turn(ctx, conn, copying, &r); err != nil {
			return r, err
		}
		if err := dropSlot(ctx, conn, "sluice_"+j.name); err != nil {
			return r, err
		}
		r.latency(copying.name, toKafka, "while the table is copied", l.Latency)
		r.note("%d transactions changed the table in run %d; the oldest transaction of ours was %.0f ms old", l.Transactions, run+1, 1000*l.Oldest)
	}
	return r, j.forget(ctx)
}

// watch changes rows and looks at the stream until the copy is done.
func (r *live) watch(ctx context.Context, p *programs) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, gctx := errgroup.WithContext(ctx)
	var done atomic.Int64
	for i := range 4 {
		g.Go(func() error { return changeRows(gctx, p.dsn, uint64(i), r.Rows, &done) })
	}
	g.Go(func() error { return r.probe(gctx, p) })
	g.Go(func() error { return r.age(gctx, p.dsn) })
	g.Go(func() error {
		defer stop()
		return p.awaitCopied(gctx)
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
func (r *live) probe(ctx context.Context, p *programs) error {
	conn, err := pgx.Connect(ctx, p.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for ctx.Err() == nil { // the start of the process is not the stream
		if s, err := p.status(ctx); err == nil && s.Capture.Durable > 0 {
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
			if s, err := p.status(ctx); err == nil && s.Capture.Durable >= lsn {
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
