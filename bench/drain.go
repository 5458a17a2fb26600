package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicecdc/sluice/internal/change"
)

// Names of the contenders that others are compared with.
const (
	theLimit  = "null reader: the limit"
	theNative = "native logical replication"
)

func (b *bench) drainers(name string) []contender {
	all := []contender{
		{theLimit, "", nullDrain},
		{"pg_recvlogical to /dev/null, binary", theLimit, recvlogical},
		{"sluice capture into Kafka", theLimit, drainCapture},
		{theNative, theLimit, drainNative},
		{"sluice into PostgreSQL through Kafka", theNative, drainBoth},
	}
	if name == "B" {
		all = append(all, contender{"sluice capture into Kafka, lz4", theLimit, drainPacked("lz4")},
			contender{"sluice capture into Kafka, zstd", theLimit, drainPacked("zstd")})
	}
	if name == "A" {
		all = append(all, contender{"COPY of the same rows into a table", "", copyIn})
	}
	if b.peers {
		all = append(all, contender{"Debezium into Kafka", theLimit, drainDebezium})
	}
	return all
}

// warmRows are enough for the broker's compilers.
const warmRows = 500_000

// warm has the broker do what it will do, so that no contender pays for its compilers.
func (b *bench) warm(ctx context.Context) error {
	w := *b
	w.runs = 1
	j := job{bench: &w, backlog: backlogs("B", min(b.rows, warmRows)), database: "bench_warm"}
	_, err := j.drain(ctx, "warm", []contender{{"warming up", "", drainBoth}})
	return err
}

// drain loads a backlog and has every contender drain it, each from a slot of its own, in turn.
func (b *bench) drain(ctx context.Context, name string) (result, error) {
	j := job{bench: b, backlog: backlogs(name, b.rows), database: "bench_" + strings.ToLower(name)}
	return j.drain(ctx, name, b.drainers(name))
}

func (j *job) drain(ctx context.Context, name string, all []contender) (result, error) {
	r := j.newResult(name, j.rows)
	conn, err := j.prepare(ctx)
	if err != nil {
		return r, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := j.slots(ctx, conn, name, len(all)); err != nil {
		return r, err
	}
	if err := j.change(ctx, conn); err != nil {
		return r, err
	}
	if j.target, err = j.mark(ctx, conn); err != nil {
		return r, err
	}
	for run := range j.runs {
		for i, c := range all {
			j.name = runName(name, i, run)
			if err := j.turn(ctx, conn, c, &r); err != nil {
				return r, fmt.Errorf("%s: %w", c.name, err)
			}
			if err := dropSlot(ctx, conn, "sluice_"+j.name); err != nil {
				return r, err
			}
		}
	}
	return r, j.forget(ctx)
}

// prepare makes the tables at the source, and at the destination a database that those of single runs are copied from.
func (j *job) prepare(ctx context.Context) (*pgx.Conn, error) {
	if err := errors.Join(j.source.CreateDatabase(ctx, j.database), j.destination.CreateDatabase(ctx, j.database)); err != nil {
		return nil, err
	}
	j.dsn = j.source.DSN(j.database)
	model, err := j.fill(ctx, j.destination.DSN(j.database))
	if err != nil {
		return nil, err
	}
	if err := model.Close(ctx); err != nil { // nobody may be connected to a database that is copied
		return nil, err
	}
	return j.fill(ctx, j.dsn)
}

func (j *job) fill(ctx context.Context, dsn string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if err := j.create(ctx, conn); err != nil {
		return nil, err
	}
	if j.before == nil {
		return conn, nil
	}
	if err := j.before(ctx, conn); err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, "vacuum analyze")
	return conn, err
}

// slots makes a slot and a publication for each run of each contender.
func (j *job) slots(ctx context.Context, conn *pgx.Conn, workload string, contenders int) error {
	for i := range contenders {
		for run := range j.runs {
			if err := j.publish(ctx, conn, runName(workload, i, run)); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish makes the slot and the publication of one run, as sluice would.
func (j *job) publish(ctx context.Context, conn *pgx.Conn, run string) error {
	_, err := conn.Exec(ctx, fmt.Sprintf("create publication sluice_%s for table %s with (publish_via_partition_root = true)", run, strings.Join(j.tables, ", ")))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "select pg_create_logical_replication_slot($1, 'pgoutput')", "sluice_"+run)
	return err
}

// turn is one run of one contender.
func (j *job) turn(ctx context.Context, conn *pgx.Conn, c contender, r *result) error {
	if err := j.copyModel(ctx); err != nil {
		return err
	}
	// What the servers still have to write to disk must not fall into somebody's time.
	if _, err := conn.Exec(ctx, "checkpoint"); err != nil {
		return err
	}
	running, giveUp := context.WithTimeout(ctx, runTime)
	defer giveUp()
	before := j.meter()
	s, err := c.run(running, *j)
	if err != nil {
		return err
	}
	s.Servers = j.meter().since(before)
	s.Servers.BrokerBytes = segments(j.kafka.DataFolder(0), j.name+".")
	r.sample(c, s)
	return errors.Join(j.deleteTopics(ctx), j.destination.DropDatabase(ctx, j.name))
}

// copyModel gives the run its database at the destination, written to disk.
func (j *job) copyModel(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, j.destination.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, fmt.Sprintf("create database %s template %s strategy file_copy", j.name, j.database)); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "checkpoint")
	return err
}

// forget drops the workload's databases.
func (j *job) forget(ctx context.Context) error {
	return errors.Join(j.source.DropDatabase(ctx, j.database), j.destination.DropDatabase(ctx, j.database))
}

// deleteTopics deletes what the run has left in Kafka.
func (j *job) deleteTopics(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(j.kafka.Addrs()...))
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
	if err != nil {
		return err
	}
	r := kmsg.NewPtrDeleteTopicsRequest()
	r.TimeoutMillis = 30_000
	for _, t := range all.Topics {
		if strings.HasPrefix(*t.Topic, j.name+".") {
			topic := kmsg.NewDeleteTopicsRequestTopic()
			topic.Topic = t.Topic
			r.Topics, r.TopicNames = append(r.Topics, topic), append(r.TopicNames, *t.Topic)
		}
	}
	_, err = r.RequestWith(ctx, client)
	return err
}

// dropSlot drops the slot once its walsender has noticed that the reader is gone.
func dropSlot(ctx context.Context, conn *pgx.Conn, name string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 400 {
		_, err := conn.Exec(ctx, "select pg_drop_replication_slot($1)", name)
		var pg *pgconn.PgError
		switch {
		case errors.As(err, &pg) && pg.Code == "42704": // undefined_object: its owner has dropped it
			return nil
		case !errors.As(err, &pg) || pg.Code != "55006": // object_in_use
			return err
		}
		<-tick.C
	}
	return fmt.Errorf("slot %s stays in use", name)
}

// mark gives the end of the backlog and commits one row more behind it, so that a reader passes the
// end by reading and not by waiting for something to happen.
func (j *job) mark(ctx context.Context, conn *pgx.Conn) (lsn string, err error) {
	if err := conn.QueryRow(ctx, "select pg_current_wal_insert_lsn()::text").Scan(&lsn); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, fmt.Sprintf("insert into %s (id) values (%d)", j.tables[0], markID))
	return lsn, err
}

// markID is the key of the row behind a backlog.
const markID = -1

// awaitMark waits until the row behind the backlog is at the destination.
func (j *job) awaitMark(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, j.destination.DSN(j.name))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		there := false
		if err := conn.QueryRow(ctx, fmt.Sprintf("select exists (select from %s where id = %d)", j.tables[0], markID)).Scan(&there); err != nil || there {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// runName is the source's name of one run: no two share topics or a slot.
func runName(workload string, contender, run int) string {
	return fmt.Sprintf("%s_c%d_r%d", strings.ToLower(workload), contender, run)
}

func (j *job) lsn() (change.LSN, error) { return change.ParseLSN(j.target) }
