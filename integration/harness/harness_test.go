package harness_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/localpg"
)

func TestPostgresSurvivesStopAndKill(t *testing.T) {
	for _, version := range []int{15, 18} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			pg := harness.Postgres(t, harness.Options{Version: version, Settings: map[string]string{"max_slot_wal_keep_size": "64MB"}})
			dsn := pg.NewDatabase()
			query(t, dsn, "create table t as select 1 as n")
			pid := pg.PID()
			pg.Kill9()
			pg.Start()
			if pg.PID() == pid {
				t.Error("the server was not started anew")
			}
			pg.Restart()
			pg.Stop(localpg.Immediate)
			pg.Start()
			if got := query(t, dsn, "select n::text from t"); got != "1" {
				t.Errorf("the table holds %q after the crashes, want 1", got)
			}
			if got := query(t, dsn, "show max_slot_wal_keep_size"); got != "64MB" {
				t.Errorf("max_slot_wal_keep_size is %s, want 64MB", got)
			}
			if got := query(t, dsn, "show wal_level"); got != "logical" {
				t.Errorf("wal_level is %s, want logical", got)
			}
		})
	}
}

func TestSharedPostgresGivesDatabasesOfTheirOwn(t *testing.T) {
	var dsns [2]string
	t.Run("tests", func(t *testing.T) {
		for i := range dsns {
			dsns[i] = harness.SharedPostgres(t, 15).NewDatabase()
			query(t, dsns[i], "create table t as select 1 as n")
			query(t, dsns[i], "select slot_name::text from pg_create_logical_replication_slot('"+harness.Unique("s")+"', 'pgoutput')")
		}
	})
	if dsns[0] == "" {
		t.Skip("no server")
	}
	if dsns[0] == dsns[1] {
		t.Errorf("two tests got the same database %s", dsns[0])
	}
	if conn, err := pgx.Connect(t.Context(), dsns[0]); err == nil {
		conn.Close(t.Context())
		t.Error("the database is still there after its test, despite a slot on it")
	}
}

func TestFreshPostgresHasItsOwnIdentifier(t *testing.T) {
	const sql = "select system_identifier::text from pg_control_system()"
	a := harness.Postgres(t, harness.Options{Version: 15})
	b := harness.Postgres(t, harness.Options{Version: 15, Fresh: true})
	if query(t, a.DSN("postgres"), sql) == query(t, b.DSN("postgres"), sql) {
		t.Error("the system identifiers are equal")
	}
}

func TestKafkaSurvivesKill(t *testing.T) {
	k := harness.Kafka(t, harness.KafkaOptions{})
	topic := harness.Unique("topic")
	createTopic(t, k.Addrs(), topic)
	produce(t, k.Addrs(), topic, "one")
	k.Kill9(0)
	k.StartBroker(0)
	produce(t, k.Addrs(), topic, "two")
	k.Restart(0)
	if got := consume(t, k.Addrs(), topic, 2); got != "one two " {
		t.Errorf("the topic holds %q, want one two", got)
	}
}

func TestKafkaClusterOfThree(t *testing.T) {
	if os.Getenv("SLUICE_REQUIRE_SERVERS") == "" {
		t.Skip("starts three brokers; set SLUICE_REQUIRE_SERVERS=1 to run it")
	}
	k := harness.Kafka(t, harness.KafkaOptions{Brokers: 3})
	if len(k.Addrs()) != 3 {
		t.Fatalf("the cluster has %d addresses, want 3", len(k.Addrs()))
	}
	topic := harness.Unique("topic")
	createTopic(t, k.Addrs(), topic)
	k.Kill9(0)
	produce(t, k.Addrs()[1:], topic, "one")
	k.StartBroker(0)
	if got := consume(t, k.Addrs()[:1], topic, 1); got != "one " {
		t.Errorf("the topic holds %q, want one", got)
	}
}

func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	text, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if len(text) == 0 {
		return ""
	}
	return text[0]
}

func client(t *testing.T, addrs []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addrs...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func createTopic(t *testing.T, addrs []string, name string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: name, NumPartitions: 1, ReplicationFactor: int16(len(addrs))}}
	res, err := req.RequestWith(within(t), client(t, addrs))
	if err != nil || res.Topics[0].ErrorCode != 0 {
		t.Fatalf("cannot create the topic: %v %+v", err, res)
	}
}

func produce(t *testing.T, addrs []string, topic, value string) {
	t.Helper()
	record := &kgo.Record{Topic: topic, Value: []byte(value)}
	if err := client(t, addrs).ProduceSync(within(t), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func consume(t *testing.T, addrs []string, topic string, n int) (values string) {
	t.Helper()
	c := client(t, addrs, kgo.ConsumeTopics(topic))
	for n > 0 {
		fetches := c.PollFetches(within(t))
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values += string(r.Value) + " "; n-- })
	}
	return values
}
