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

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/internal/process"
)

// debeziumSettings are what a person who tunes for rate would set. In E the timers are those of a person who tunes for
// latency.
const debeziumSettings = "Debezium 3.7.0.Final on Kafka Connect 4.1.0 (standalone), -Xmx1g, Avro by Apicurio's converter 2.5.11 and registry, " +
	"max.batch.size=20480, max.queue.size=81920, snapshot.fetch.size=20000, poll.interval.ms=10 (E: 1), producer batch.size=262144, " +
	"linger.ms=5 (E: 0), acks=all; its time begins with its first row"

const connectWorker = `bootstrap.servers=%[1]s
key.converter=io.apicurio.registry.utils.converter.AvroConverter
value.converter=io.apicurio.registry.utils.converter.AvroConverter
key.converter.apicurio.registry.url=%[4]s
key.converter.apicurio.registry.auto-register=true
key.converter.apicurio.registry.as-confluent=true
value.converter.apicurio.registry.url=%[4]s
value.converter.apicurio.registry.auto-register=true
value.converter.apicurio.registry.as-confluent=true
offset.storage.file.filename=%[2]s
offset.flush.interval.ms=1000
listeners=http://127.0.0.1:%[3]d
producer.batch.size=262144
producer.linger.ms=%[5]d
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
publication.name=sluice_%[1]s
publication.autocreate.mode=filtered
table.include.list=%[4]s
snapshot.mode=%[5]s
max.batch.size=20480
max.queue.size=81920
snapshot.fetch.size=20000
poll.interval.ms=%[6]d
topic.creation.default.partitions=3
topic.creation.default.replication.factor=1
`

// debezium is the connector of one run.
type debezium struct {
	job
	snapshot string // its mode
	linger   int    // of the producer, in milliseconds
	poll     int    // between two looks into its queue, in milliseconds
}

// fetchPeers has Maven put the jars of the peers into a folder, and starts the registry of their converter.
func (b *bench) fetchPeers(ctx context.Context) error {
	pom, err := filepath.Abs("bench/peers/pom.xml")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+b.peerLibs())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot fetch the peers with Maven (apt-get install maven): %w\n%s", err, out)
	}
	b.registry, err = harness.StartApicurio()
	return err
}

func (b *bench) peerLibs() string { return filepath.Join(b.folder, "peers") }

// run starts Connect, waits and kills it: what it would still write does not matter.
func (d debezium) run(ctx context.Context, await func(context.Context) (time.Duration, error)) (sample, error) {
	cmd, log, err := d.start(ctx)
	if err != nil {
		return sample{}, err
	}
	high := watchPeak(cmd.Process.Pid)
	start := time.Now()
	waiting, giveUp := context.WithCancel(ctx)
	defer giveUp()
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
		giveUp()
	}()
	took, late := await(waiting)
	all := time.Since(start)
	_ = cmd.Process.Signal(syscall.SIGKILL)
	<-ended
	if late != nil {
		text, _ := os.ReadFile(log)
		return sample{}, fmt.Errorf("Debezium did not come to the end: %w\n%s", late, tail(string(text)))
	}
	return sample{Start: (all - took).Seconds(), Seconds: took.Seconds(), Own: []use{used("Kafka Connect with Debezium", cmd, high)}}, nil
}

func (d debezium) start(ctx context.Context) (*exec.Cmd, string, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, "", err
	}
	worker, connector, log := d.file()+".worker", d.file()+".connector", d.file()+".log"
	tables := "public." + strings.Join(d.tables, ",public.")
	err = errors.Join(
		os.WriteFile(worker, fmt.Appendf(nil, connectWorker, strings.Join(d.kafka.Addrs(), ","), d.file()+".offsets", port, d.registry.Own(), d.linger), 0o600),
		os.WriteFile(connector, fmt.Appendf(nil, debeziumConnector, d.name, d.source.Port(), d.database, tables, d.snapshot, d.poll), 0o600))
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

// drainDebezium and snapshotDebezium run until Kafka has every row, followDebezium while a load is written.
func drainDebezium(ctx context.Context, j job) (sample, error) {
	d := debezium{job: j, snapshot: "no_data", linger: 5, poll: 10}
	return d.run(ctx, d.awaitRows)
}

func snapshotDebezium(ctx context.Context, j job) (sample, error) {
	d := debezium{job: j, snapshot: "initial", linger: 5, poll: 10}
	return d.run(ctx, d.awaitRows)
}

func followDebezium(ctx context.Context, j job, during func(context.Context) error) (sample, error) {
	d := debezium{job: j, snapshot: "no_data", linger: 0, poll: 1}
	return d.run(ctx, func(ctx context.Context) (time.Duration, error) { return 0, during(ctx) })
}

// awaitRows waits until the topics hold every row and gives the time since the first ones, so that the start of a JVM
// does not count.
func (d debezium) awaitRows(ctx context.Context) (time.Duration, error) {
	client, err := kafka.Open(ctx, kafka.Config{Brokers: d.kafka.Addrs()}, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var begun time.Time
	var had int64
	for {
		n := d.records(ctx, client)
		switch {
		case n >= d.rows:
			return time.Since(begun) * time.Duration(d.rows) / time.Duration(max(1, d.rows-had)), nil
		case n > 0 && begun.IsZero():
			begun, had = time.Now(), n
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("the topics have %d of %d records: %w", n, d.rows, ctx.Err())
		case <-tick.C:
		}
	}
}

func (d debezium) records(ctx context.Context, client *kafka.Client) (n int64) {
	for _, table := range d.tables {
		first, end, err := client.Offsets(ctx, d.name+".public."+table)
		if err != nil {
			continue // it is not there yet
		}
		for i := range end {
			n += end[i] - first[i]
		}
	}
	return n
}
