package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/sluicecdc/sluice/bench/load"
)

// The load of E: writers commit by the clock, whether anybody keeps up or not.
const (
	openRate   = 1000 // transactions a second
	warmTime   = 10 * time.Second
	openTime   = 30 * time.Second
	idleTime   = 30 * time.Second
	idleEvery  = time.Second
	writers    = 8
	lane       = 1_000_000_000 // keys of one writer; they rise with its commits
	lookEvery  = 500 * time.Microsecond
	settleTime = 30 * time.Second // for what was committed last to arrive
)

// What a latency is measured to, from the commit's own time at the source (pg_xact_commit_timestamp).
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
		{"sluice", []string{toKafka, toReader, toDestination}, followSluice},
		{theNative, []string{toDestination}, followNative},
	}
	if b.peers {
		all = append(all, follower{"Debezium", []string{toKafka, toReader}, followDebezium})
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
	for run := range b.runs {
		for i, f := range b.followers() {
			j.name = runName(name, i, run)
			if err := j.publish(ctx, conn, j.name); err != nil {
				return r, err
			}
			o := observation{job: j, to: f.to}
			c := contender{name: f.name, run: func(ctx context.Context, j job) (sample, error) { return f.follow(ctx, j, o.during) }}
			if err := j.turn(ctx, conn, c, &r); err != nil {
				return r, fmt.Errorf("%s: %w", f.name, err)
			}
			if err := o.join(ctx, conn, f.name, &r); err != nil {
				return r, err
			}
			if err := dropSlot(ctx, conn, "sluice_"+j.name); err != nil {
				return r, err
			}
		}
	}
	return r, j.forget(ctx)
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
	to []string
	sync.Mutex
	seen  map[string]map[int64]int64 // by what it is measured to
	idle  int64                      // keys within a lane from here on were written at the idle rate
	count int64                      // and from here on not at all
}

func (o *observation) see(to string, key, micros int64) {
	o.Lock()
	defer o.Unlock()
	if _, ok := o.seen[to][key]; !ok {
		o.seen[to][key] = micros
	}
}

// during writes and watches.
func (o *observation) during(ctx context.Context) error {
	o.seen = map[string]map[int64]int64{}
	for _, to := range o.to {
		o.seen[to] = map[int64]int64{}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	if o.seen[toDestination] != nil {
		g.Go(func() error { return o.watchDestination(ctx) })
	}
	if o.seen[toReader] != nil {
		g.Go(func() error { return o.watchTopic(ctx) })
	}
	g.Go(func() error {
		defer stop()
		return o.write(ctx)
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// write writes until what it has written has arrived.
func (o *observation) write(ctx context.Context) error {
	const each = openRate / writers
	warm := int64(warmTime.Seconds() * each)
	o.idle = warm + int64(openTime.Seconds()*each)
	o.count = o.idle + int64(idleTime/idleEvery)
	g, gctx := errgroup.WithContext(ctx)
	for i := range int64(writers) {
		g.Go(func() error { return o.lane(gctx, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return o.settled(ctx)
}

// lane writes the keys of one writer, all at the open rate, and the first writer goes on at the idle rate.
func (o *observation) lane(ctx context.Context, writer int64) error {
	conn, err := pgx.Connect(ctx, o.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	orders := load.Orders{Seed: seed}
	next := time.Now()
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

// settled waits until the last key has arrived everywhere.
func (o *observation) settled(ctx context.Context) error {
	giveUp := time.After(settleTime)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		o.Lock()
		missing := ""
		for to, seen := range o.seen {
			if _, ok := seen[o.count-1]; !ok {
				missing = to
			}
		}
		o.Unlock()
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-giveUp:
			return fmt.Errorf("the last row has not arrived at %s", missing)
		case <-tick.C:
		}
	}
}

// watchDestination asks for the greatest key of each writer, again and again: it sees a commit when readers do.
func (o *observation) watchDestination(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, o.destination.DSN(o.name))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	question := fmt.Sprintf("select coalesce((select max(id) from orders where id >= w * %[1]d and id < (w + 1) * %[1]d), w * %[1]d - 1) from generate_series(0::bigint, %[2]d) w", lane, writers-1)
	var had [writers]int64
	for i := range had {
		had[i] = int64(i)*lane - 1
	}
	for ctx.Err() == nil {
		rows, err := conn.Query(ctx, question)
		if err != nil {
			return unlessOver(ctx, err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return unlessOver(ctx, err)
		}
		now := time.Now().UnixMicro()
		for i, last := range got {
			for ; had[i] < last; had[i]++ {
				o.see(toDestination, had[i]+1, now)
			}
		}
		time.Sleep(lookEvery)
	}
	return nil
}

// join takes the commits' times from the source and clears its table.
func (o *observation) join(ctx context.Context, conn *pgx.Conn, contender string, r *result) error {
	committed := map[int64]int64{}
	rows, err := conn.Query(ctx, "select id, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::bigint from orders")
	if err != nil {
		return err
	}
	var id, at int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		committed[id] = at
		return nil
	}); err != nil {
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
