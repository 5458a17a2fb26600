package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A record that somebody else has put into a topic, garbage or one that unpacks to far more than the memory budget: the sink
// says which topic, partition and offset, keeps its checkpoint, and its memory stays bounded.
func TestHostileRecords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value []byte
		says  []string
	}{
		"garbage": {[]byte("garbage"), []string{"offset 2 of topic", "partition 0", "Confluent wire format", "nothing was skipped"}},
		"bomb":    {make([]byte, 300<<20), []string{"partition 0 at offset 2", "unpack to more than 33554432 bytes", "nothing was skipped"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, 15, []string{oneTable}, func(text string) string {
				return strings.Replace(text, "kafka:\n", "kafka:\n  partitions: 1\n", 1) + "memory: 64MiB\n"
			})
			d.exec("create table t (id int primary key)", "insert into t values (1)")
			capture, sink := d.start("capture"), d.start("sink", "copy")
			d.caughtUp(60 * time.Second)
			d.stop(sink)
			d.plant(oneTable, c.value)
			d.exec("insert into t values (2)")
			sink = d.start("sink", "copy")
			log, peak := filepath.Join(d.folder, "sink.log"), 0
			eventually(t, 60*time.Second, "the sink to name the record", func() bool {
				if now, err := peakOf(sink); err == nil {
					peak = max(peak, now)
				}
				text, err := os.ReadFile(log)
				return err == nil && bytes.Contains(text, []byte(c.says[0]))
			})
			text, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			says(t, string(text), append(c.says, d.name+".public.t")...)
			if t.Logf("peak %d MiB", peak>>20); peak > (64+96)<<20 {
				t.Errorf("the sink took %d MiB with a budget of 64", peak>>20)
			}
			if n := scan[int64](t, d.destination, "select count(*) from t"); n != 1 {
				t.Errorf("the destination has %d rows, want the one of its checkpoint", n)
			}
			d.stop(capture)
		})
	}
}

// plant writes a record of somebody else, packed, into the topic of a table.
func (d *deployment) plant(table string, value []byte) {
	d.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(d.brokers...), kgo.ProducerBatchMaxBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30), kgo.MaxBufferedBytes(1<<30),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		d.t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(d.t.Context(), &kgo.Record{Topic: d.name + "." + table, Key: []byte("k"), Value: value}).FirstErr(); err != nil {
		d.t.Fatal(err)
	}
}
