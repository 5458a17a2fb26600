package check_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/sluicecdc/sluice/integration/check"
	"github.com/sluicecdc/sluice/internal/change"
)

const (
	keySchema = `{"type":"record","name":"Key","fields":[{"name":"id","type":"long"}]}`

	valueSchema = `{"type":"record","name":"Envelope","fields":[{"name":"op","type":"string"},
		{"name":"source","type":{"type":"record","name":"Source","fields":[
			{"name":"snapshot","type":"string"},{"name":"schema","type":"string"},{"name":"table","type":"string"},
			{"name":"commit_lsn","type":["null","long"]},{"name":"ordinal","type":["null","long"]}]}},
		{"name":"transaction","type":["null",{"type":"record","name":"block","namespace":"event","fields":[
			{"name":"id","type":"string"},{"name":"total_order","type":"long"},{"name":"data_collection_order","type":"long"}]}]}]}`

	endSchema = `{"type":"record","name":"Value","fields":[{"name":"status","type":"string"},{"name":"id","type":"string"},
		{"name":"event_count","type":["null","long"]},
		{"name":"data_collections","type":["null",{"type":"array","items":{"type":"record","name":"collection","namespace":"event","fields":[
			{"name":"data_collection","type":"string"},{"name":"event_count","type":"long"},
			{"name":"partitions","type":{"type":"array","items":{"type":"record","name":"partition","fields":[
				{"name":"partition","type":"int"},{"name":"event_count","type":"long"}]}}}]}}]},
		{"name":"commit_lsn","type":["null","long"]},{"name":"snapshot","type":"boolean"}]}`
)

// writer encodes with goavro and registers what it writes.
type writer struct {
	t        *testing.T
	registry *sr.Client
}

func (w writer) frame(subject, schema, json string) []byte {
	w.t.Helper()
	registered, err := w.registry.CreateSchema(w.t.Context(), subject, sr.Schema{Schema: schema})
	if err != nil {
		w.t.Fatal(err)
	}
	codec, err := goavro.NewCodec(schema)
	if err != nil {
		w.t.Fatal(err)
	}
	native, _, err := codec.NativeFromTextual([]byte(json))
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := codec.BinaryFromNative(binary.BigEndian.AppendUint32([]byte{0}, uint32(registered.ID)), native)
	if err != nil {
		w.t.Fatal(err)
	}
	return body
}

func TestReadTopics(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "s.public.t", "s.sluice.state"), kfake.SeedTopics(1, "s.transaction", "other.public.t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	fake := srfake.New()
	defer fake.Close()
	registry, err := sr.NewClient(sr.URLs(fake.URL()))
	if err != nil {
		t.Fatal(err)
	}
	w := writer{t, registry}
	key := w.frame("s.public.t-key", keySchema, `{"id":1}`)
	envelope := func(op, ordinal string) []byte {
		return w.frame("s.public.t-value", valueSchema, `{"op":"`+op+`","source":{"snapshot":"false","schema":"public","table":"t",
			"commit_lsn":{"long":20},"ordinal":{"long":`+ordinal+`}},
			"transaction":{"event.block":{"id":"7:20","total_order":`+ordinal+`,"data_collection_order":`+ordinal+`}}}`)
	}
	truncate := []kgo.RecordHeader{{Key: "sluice.op", Value: []byte("t")}, {Key: "sluice.value", Value: envelope("t", "3")}}
	records := []*kgo.Record{
		{Topic: "s.public.t", Partition: 1, Key: key, Value: envelope("c", "1")},
		{Topic: "s.public.t", Partition: 1, Key: key, Value: envelope("d", "2")},
		{Topic: "s.public.t", Partition: 1, Key: key},
		{Topic: "s.public.t", Partition: 0, Headers: truncate},
		{Topic: "s.public.t", Partition: 1, Headers: truncate},
		{Topic: "s.transaction", Value: w.frame("s.transaction-value", endSchema, `{"status":"END","id":"7:20","event_count":{"long":3},
			"data_collections":{"array":[{"data_collection":"public.t","event_count":3,"partitions":[{"partition":0,"event_count":1},{"partition":1,"event_count":3}]}]},
			"commit_lsn":{"long":20},"snapshot":false}`)},
		{Topic: "s.sluice.state", Value: []byte("not for this reader")},
		{Topic: "other.public.t", Value: []byte("nor this")},
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	l, err := check.Read(t.Context(), check.Place{Brokers: cluster.ListenAddrs(), Registry: fake.URL(), Source: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if found := l.Check(); len(found) > 0 {
		t.Errorf("blamed: %v", found)
	}
	if len(l.Records) != 5 || len(l.Ends) != 1 || !bytes.Equal(l.Records[1].Key, key) || !l.Records[3].Tombstone {
		t.Fatalf("read %+v", l)
	}
	want := check.Record{Topic: "s.public.t", Partition: 1, Offset: 3, Op: 't', Collection: "public.t",
		Position: change.Position{Commit: 20, Ordinal: 3}, Group: "7:20", TotalOrder: 3, CollectionOrder: 3}
	if !reflect.DeepEqual(l.Records[4], want) {
		t.Errorf("read %+v, want %+v", l.Records[4], want)
	}
}
