package http_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/internal/kafka/embedded"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/http"
	"github.com/sluicecdc/sluice/sink/sinktest"
)

func TestConformance(t *testing.T) {
	client := broker(t)
	sinktest.Run(t, func(t *testing.T) sinktest.Destination { return newStore(t, client) })
}

// broker starts an embedded broker and connects to it.
func broker(t *testing.T) *kafka.Client {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	b, err := embedded.Start(t.TempDir(), "127.0.0.1:0", log, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := kafka.Open(ctx, kafka.Config{Brokers: kafka.Brokers{"embedded"}, EmbeddedListen: b.Addr()}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// store is an API that keeps rows, and the sink's checkpoint beside it.
type store struct {
	api    *api
	url    string
	source string
	kafka  *kafka.Client
	lease  http.Lease
}

var _ sinktest.Limited = (*store)(nil)

func newStore(t *testing.T, client *kafka.Client) *store {
	t.Helper()
	a := newAPI()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return &store{api: a, url: server.URL, source: harness.Unique("crm"), kafka: client}
}

// Lacks says what an API does not have.
func (s *store) Lacks() []sinktest.Ability {
	return []sinktest.Ability{sinktest.Transactions, sinktest.Keyless, sinktest.Stored, sinktest.Archives, sinktest.Repairs, sinktest.Columns}
}

func (s *store) Open(t *testing.T, tables []sink.Table) sink.Sink {
	t.Helper()
	own := http.Config{URL: s.url}
	for i := range tables {
		own.Tables = append(own.Tables, calls(t, &tables[i]))
	}
	return s.open(t, tables, own)
}

func (s *store) open(t *testing.T, tables []sink.Table, own http.Config) *http.Sink {
	t.Helper()
	o, err := http.FromConfig(sink.Config{Name: "billing", Source: s.source, Type: "http", Tables: tables}, own)
	if err != nil {
		t.Fatal(err)
	}
	o.Kafka, o.Lease, o.Log = s.kafka, s.lease, slog.New(slog.NewTextHandler(t.Output(), nil))
	out, err := http.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// keys are those of the suite's tables, by destination.
var keys = map[string]string{
	"public.pairs": "{a}/{z}", "public.loose": "{x}", "billing.things": "{thing}", "public.all": "{kind}/{id}",
	`"Odd ""Schema"""."my.table; DROP"`: `{k'ey "q"}`, "public.some": "{y}",
}

// calls writes the calls for a table as a configuration would.
func calls(t *testing.T, table *sink.Table) http.Table {
	t.Helper()
	to := table.To
	if to == "" {
		to = table.From
	}
	row := "/" + escape(to) + "/" + or(keys[to], "{id}")
	out := http.Table{Upsert: &http.Call{Path: path(t, row)}, Patch: &http.Call{Path: path(t, row)}}
	clear := "/" + escape(to)
	switch table.Deletes.Policy {
	case sink.DeleteHard:
		out.Delete = &http.Call{Path: path(t, row)}
	case sink.DeleteSoft:
		clear += "?mark=" + table.Deletes.Set[0].Column + "&as=" + *table.Deletes.Set[0].Value
	}
	if table.Deletes.Policy != sink.DeleteIgnore {
		if to == "public.all" {
			clear += map[bool]string{true: "&", false: "?"}[strings.Contains(clear, "?")] + "kind={kind}"
		}
		out.Clear = &http.Call{Method: "DELETE", Path: path(t, clear)}
	}
	return out
}

func path(t *testing.T, text string) http.Path {
	t.Helper()
	p, err := http.NewPath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func escape(to string) string {
	return strings.NewReplacer(" ", "%20", `"`, "%22").Replace(to)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (s *store) Rows(t *testing.T, schema, name string) []sinktest.Row {
	t.Helper()
	to := schema + "." + name
	if strings.Contains(schema, " ") {
		to = `"Odd ""Schema"""."my.table; DROP"`
	}
	return s.api.rows(to)
}

// Fence takes the sink over as a process does that finds the lease free.
func (s *store) Fence(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	p, err := s.kafka.NewProducer(ctx, kafka.ProducerConfig{TransactionalID: "sluice-sink-" + s.source + "-billing"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if _, err := p.Fence(ctx, []string{fmt.Sprintf("%s.sluice.sink.billing", s.source)}); err != nil {
		t.Fatal(err)
	}
}
