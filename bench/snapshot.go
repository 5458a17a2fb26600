package main

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/jackc/pgx/v5"
)

const theCopy = "COPY to /dev/null, binary"

// copiers copy the rows that a table has.
func (b *bench) copiers() []contender {
	all := []contender{
		{theCopy, "", copyToNull},
		{"sluice first copy into Kafka, 1 worker", theCopy, copySluice(1)},
		{"sluice first copy into Kafka, 2 workers", theCopy, copySluice(2)},
	}
	if b.peers {
		all = append(all, contender{"Debezium initial snapshot into Kafka", theCopy, snapshotDebezium})
	}
	return all
}

// snapshot loads a table and has every contender copy it, in turn.
func (b *bench) snapshot(ctx context.Context, name string) (result, error) {
	j := job{bench: b, backlog: backlogs(name, b.rows), database: "bench_f"}
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
		for i, c := range b.copiers() {
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

// loadAll fills the table as it is after some time in production: vacuumed and analysed.
func (j *job) loadAll(ctx context.Context, conn *pgx.Conn) error {
	if err := j.change(ctx, conn); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "vacuum analyze")
	return err
}

// copyToNull has PostgreSQL's own client read the table as a copy does, and throws everything away.
func copyToNull(ctx context.Context, j job) (sample, error) {
	path, err := clientProgram("psql")
	if err != nil {
		return sample{}, err
	}
	return toEnd("psql", exec.CommandContext(ctx, path, "-X", "-d", j.dsn, "-c", `\copy (select * from `+j.tables[0]+`) to '/dev/null' (format binary)`))
}

// copySluice runs capture until the table is copied and Kafka holds it.
func copySluice(workers int) func(context.Context, job) (sample, error) {
	return func(ctx context.Context, j job) (sample, error) {
		p, err := j.configure(fmt.Sprintf("{workers: %d}", workers))
		if err != nil {
			return sample{}, err
		}
		return p.run(ctx, []string{"capture"}, p.awaitCopied)
	}
}
