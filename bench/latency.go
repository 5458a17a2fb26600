package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/sluicecdc/sluice/bench/load"
)

// The load of E: writers commit by the clock, in turn, whether anybody keeps up or not.
const (
	openRate   = 1000 // transactions a second
	warmTime   = 10 * time.Second
	openTime   = 30 * time.Second
	idleTime   = 30 * time.Second
	idleEvery  = time.Second
	writers    = 8
	lane       = 1_000_000_000         // keys of one writer; they rise with its commits
	lookEvery  = 20 * time.Millisecond // whether the last row has arrived
	pollEvery  = 500 * time.Microsecond
	settleTime = 30 * time.Second // for what was committed last to arrive
)

// What a latency is measured to, from the commit's own time at the source (pg_xact_commit_timestamp): the broker's time of
// the append and the destination's own commit time, both read after the load, so that no measurement takes part in it; or
// the time at which a reader of another make has the record, while it reads all the time. Native replication gives its
// commits the source's time: there a query sees when a row has come.
const (
	toKafka       = "Kafka append"
	toReader      = "a reader of Kafka"
	toDestination = "destination commit"
)

// follower follows a load.
type follower struct {
	name string
	to   []string
	// follow starts the contender, calls during once it follows, and ends it.
	follow func(ctx context.Context, j job, during func(ctx context.Context) error) (sample, error)
}

func (b *bench) followers() []follower {
	all := []follower{
		{"sluice", []string{toKafka, toDestination}, followSluice},
		{"sluice, with a reader", []string{toReader}, followSluice},
		{theNative, []string{toDestination}, followNative},
	}
	if b.peers {
		all = append(all, follower{"Debezium", []string{toKafka}, followDebezium})
	}
	return all
}

// latency has every contender follow the same load, in turn.
func (b *bench) latency(ctx context.Context, name string) (result, error) {
	j := job{bench: b, backlog: backlogs("A", b.rows), database: "bench_e"}
	r := b.newResult(name, 0)
	conn, err := j.prepare(ctx)
	if err != nil {
		return r, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all := b.followers()
	// The broker compiles what this load needs for a minute: a production server has done so long ago.
	warm := r
	j.name = runName(name, 0, b.runs)
	if err := j.follow(ctx, conn, all[0], &warm); err != nil {
		return r, err
	}
	for run := range b.runs {
		for i, f := range all {
			j.name = runName(name, i, run)
			if err := j.follow(ctx, conn, f, &r); err != nil {
				return r, err
			}
		}
	}
	return r, j.forget(ctx)
}

// follow has one contender follow the load once.
func (j job) follow(ctx context.Context, conn *pgx.Conn, f follower, r *result) error {
	if err := j.publish(ctx, conn, j.name); err != nil {
		return err
	}
	o := observation{job: j, to: f.to, polls: f.name == theNative}
	c := contender{name: f.name, run: func(ctx context.Context, j job) (sample, error) { return f.follow(ctx, j, o.during) }}
	if err := j.turn(ctx, conn, c, r); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	if err := o.join(ctx, conn, f.name, r); err != nil {
		return err
	}
	return dropSlot(ctx, conn, "sluice_"+j.name)
}

func followSluice(ctx context.Context, j job, during func(context.Context) error) (sample, error) {
	p, err := j.configure("{mode: never}")
	if err != nil {
		return sample{}, err
	}
	return p.run(ctx, []string{"capture", "sink"}, during)
}

func followNative(ctx context.Context, j job, during func(context.Context) error) (s sample, err error) {
	end, err := j.subscribe(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, end(context.WithoutCancel(ctx))) }()
	return s, during(ctx)
}

// observation is what was seen of one load, in microseconds since 1970 by key.
type observation struct {
	job
	to    []string
	polls bool                       // the destination is asked meanwhile: native replication gives its commits the source's time
	seen  map[string]map[int64]int64 // by what it is measured to
	idle  int64                      // keys within a lane from here on were written at the idle rate
	count int64                      // and from here on not at all
}

// during writes, watches what can only be seen meanwhile, and reads the rest afterwards.
func (o *observation) during(ctx context.Context) error {
	const each = openRate / writers
	o.idle = int64((warmTime + openTime).Seconds() * each)
	o.count = o.idle + int64(idleTime/idleEvery)
	o.seen = map[string]map[int64]int64{}
	g, gctx := errgroup.WithContext(ctx)
	for _, to := range o.to {
		o.seen[to] = map[int64]int64{}
		if to == toReader {
			g.Go(func() error { return o.readTopic(gctx, nil) })
		}
	}
	if o.polls {
		g.Go(func() error { return o.watchDestination(gctx) })
	}
	g.Go(func() error { return o.write(gctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	return o.look(ctx)
}

// look takes what the servers have noted themselves.
func (o *observation) look(ctx context.Context) (err error) {
	if o.seen[toDestination] != nil && !o.polls {
		if err := o.awaitLast(ctx); err != nil {
			return err
		}
		if o.seen[toDestination], err = o.commits(ctx, o.destination.DSN(o.name)); err != nil {
			return err
		}
	}
	if o.seen[toKafka] != nil {
		return o.readTopic(ctx, o.seen[toKafka])
	}
	return nil
}

// watchDestination asks for the greatest key of each writer, again and again, up to the last row: it sees a commit when
// readers do.
func (o *observation) watchDestination(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, o.destination.DSN(o.name))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeout(ctx, warmTime+openTime+idleTime+settleTime)
	defer cancel()
	question := fmt.Sprintf("select coalesce((select max(id) from orders where id >= w * %[1]d and id < (w + 1) * %[1]d), w * %[1]d - 1) from generate_series(0::bigint, %[2]d) w", lane, writers-1)
	var had [writers]int64
	for i := range had {
		had[i] = int64(i)*lane - 1
	}
	for had[0] < o.count-1 {
		rows, err := conn.Query(ctx, question)
		if err != nil {
			return fmt.Errorf("the last row has not arrived at the destination: %w", err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		now := time.Now().UnixMicro()
		for i, last := range got {
			for ; had[i] < last; had[i]++ {
				o.seen[toDestination][had[i]+1] = now
			}
		}
		time.Sleep(pollEvery)
	}
	return nil
}

// commits gives the times at which the rows of orders were committed.
func (o *observation) commits(ctx context.Context, dsn string) (map[int64]int64, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	at := map[int64]int64{}
	rows, err := conn.Query(ctx, "select id, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::bigint from orders")
	if err != nil {
		return nil, err
	}
	var id, micros int64
	_, err = pgx.ForEachRow(rows, []any{&id, &micros}, func() error {
		at[id] = micros
		return nil
	})
	return at, err
}

// awaitLast waits until the row that was written last is at the destination.
func (o *observation) awaitLast(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, o.destination.DSN(o.name))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for there := false; !there; {
		if err := conn.QueryRow(ctx, "select exists (select from orders where id = $1)", o.count-1).Scan(&there); err != nil {
			return fmt.Errorf("the last row has not arrived at the destination: %w", err)
		}
		<-tick.C
	}
	return nil
}

// write writes all.
func (o *observation) write(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for i := range int64(writers) {
		g.Go(func() error { return o.lane(gctx, i) })
	}
	return g.Wait()
}

// lane writes the keys of one writer, all at the open rate, and the first writer goes on at the idle rate.
func (o *observation) lane(ctx context.Context, writer int64) error {
	conn, err := pgx.Connect(ctx, o.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	orders := load.Orders{Seed: seed}
	next := time.Now().Add(time.Duration(writer) * time.Second / openRate) // they take turns
	for n := range o.count {
		if n >= o.idle && writer > 0 {
			return nil
		}
		time.Sleep(time.Until(next))
		if err := orders.InsertOne(ctx, conn, writer*lane+n); err != nil {
			return err
		}
		if n < o.idle {
			next = next.Add(writers * time.Second / openRate)
		} else {
			next = next.Add(idleEvery)
		}
	}
	return nil
}

// join takes the commits' times from the source and clears its table.
func (o *observation) join(ctx context.Context, conn *pgx.Conn, contender string, r *result) error {
	committed, err := o.commits(ctx, o.dsn)
	if err != nil {
		return err
	}
	for _, to := range o.to {
		var open, idle []float64
		for key, at := range committed {
			seen, ok := o.seen[to][key]
			if !ok {
				return fmt.Errorf("%s: key %d has not arrived at %s", o.name, key, to)
			}
			took := float64(seen-at) / 1e6
			switch n := key % lane; {
			case n >= o.idle:
				idle = append(idle, took)
			case n >= int64(warmTime.Seconds()*openRate/writers):
				open = append(open, took)
			}
		}
		r.latency(contender, to, fmt.Sprintf("at %d transactions a second", openRate), open)
		r.latency(contender, to, "at one a second", idle)
	}
	_, err = conn.Exec(ctx, "truncate orders")
	return err
}
