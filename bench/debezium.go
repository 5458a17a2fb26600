package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/internal/process"
)

// debeziumSettings are what a person who tunes for rate would set, as JSON without schemas, which is faster there
// than Avro.
const debeziumSettings = "Debezium 3.7.0.Final on Kafka Connect 4.1.0 (standalone), -Xmx1g, JSON without schemas, " +
	"max.batch.size=20480, max.queue.size=81920, snapshot.fetch.size=20000, poll.interval.ms=10, producer batch.size=262144, linger.ms=5, acks=all"

const connectWorker = `bootstrap.servers=%[1]s
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter.schemas.enable=false
offset.storage.file.filename=%[2]s
offset.flush.interval.ms=1000
listeners=http://127.0.0.1:%[3]d
producer.batch.size=262144
producer.linger.ms=5
producer.acks=all
`

const debeziumConnector = `name=%[1]s
connector.class=io.debezium.connector.postgresql.PostgresConnector
tasks.max=1
database.hostname=127.0.0.1
database.port=%[2]d
database.user=postgres
database.password=unused
database.dbname=%[3]s
topic.prefix=%[1]s
plugin.name=pgoutput
slot.name=sluice_%[1]s
publication.name=peer_%[1]s
publication.autocreate.mode=filtered
table.include.list=public.orders
snapshot.mode=initial
max.batch.size=20480
max.queue.size=81920
snapshot.fetch.size=20000
poll.interval.ms=10
topic.creation.default.partitions=3
topic.creation.default.replication.factor=1
`

// fetchPeers has Maven put the jars of the peers into a folder.
func (b *bench) fetchPeers(ctx context.Context) error {
	pom, err := filepath.Abs("bench/peers/pom.xml")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+b.peerLibs())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot fetch the peers with Maven (apt-get install maven): %w\n%s", err, out)
	}
	return nil
}

func (b *bench) peerLibs() string { return filepath.Join(b.folder, "peers") }

// snapshotDebezium runs Debezium's initial snapshot until Kafka has every row. Its time begins with its first row,
// so that the start of a JVM does not count.
func snapshotDebezium(ctx context.Context, d drainJob) (sample, error) {
	client, err := kafka.Open(ctx, kafka.Config{Brokers: d.kafka.Addrs()}, slog.New(slog.DiscardHandler))
	if err != nil {
		return sample{}, err
	}
	defer client.Close()
	cmd, log, err := d.startDebezium(ctx)
	if err != nil {
		return sample{}, err
	}
	waiting, giveUp := context.WithTimeout(ctx, drainTime)
	defer giveUp()
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
		giveUp()
	}()
	wall, late := awaitRows(waiting, client, d.name+".public.orders", d.rows)
	_ = cmd.Process.Signal(syscall.SIGKILL) // what it would still write does not matter
	<-ended
	if late != nil {
		text, _ := os.ReadFile(log)
		return sample{}, fmt.Errorf("Debezium did not come to the end: %w\n%s", late, tail(string(text)))
	}
	return measure(cmd, wall), d.forgetDebezium(ctx)
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

func (d drainJob) startDebezium(ctx context.Context) (*exec.Cmd, string, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, "", err
	}
	worker, connector, log := d.file()+".worker", d.file()+".connector", d.file()+".log"
	err = errors.Join(
		os.WriteFile(worker, fmt.Appendf(nil, connectWorker, strings.Join(d.kafka.Addrs(), ","), d.file()+".offsets", port), 0o600),
		os.WriteFile(connector, fmt.Appendf(nil, debeziumConnector, d.name, d.postgres.Port(), d.database), 0o600))
	if err != nil {
		return nil, "", err
	}
	out, err := os.Create(log)
	if err != nil {
		return nil, "", err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, "java", "-Xms1g", "-Xmx1g", "-cp", filepath.Join(d.peerLibs(), "*"), "org.apache.kafka.connect.cli.ConnectStandalone", worker, connector)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, log, cmd.Start()
}

// forgetDebezium drops what the connector has made at the source.
func (d drainJob) forgetDebezium(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, d.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := dropSlot(ctx, conn, "sluice_"+d.name); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "drop publication if exists peer_"+d.name)
	return err
}

// awaitRows waits until a topic holds so many records and gives the time since the first ones.
func awaitRows(ctx context.Context, client *kafka.Client, topic string, rows int64) (time.Duration, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var begun time.Time
	var had int64
	for {
		n := records(ctx, client, topic)
		switch {
		case n >= rows:
			return time.Since(begun) * time.Duration(rows) / time.Duration(max(1, rows-had)), nil
		case n > 0 && begun.IsZero():
			begun, had = time.Now(), n
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("the topic %s has %d of %d records: %w", topic, n, rows, ctx.Err())
		case <-tick.C:
		}
	}
}

func records(ctx context.Context, client *kafka.Client, topic string) (n int64) {
	first, end, err := client.Offsets(ctx, topic)
	if err != nil {
		return 0 // it is not there yet
	}
	for i := range end {
		n += end[i] - first[i]
	}
	return n
}
