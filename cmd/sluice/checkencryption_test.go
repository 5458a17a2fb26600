package main

import (
	"strings"
	"testing"

	"github.com/sluicecdc/sluice/internal/config"
)

func TestCheckEncryption(t *testing.T) {
	parse := func(source, broker, tls, registry, sink string) *config.Config {
		t.Helper()
		cfg, err := config.Parse("sluice.yml", []byte(`source: {name: crm, dsn: "`+source+`", tables: [public.t]}
kafka: {brokers: ["`+broker+`"]`+tls+`}
schemas: {registry: "`+registry+`"}
sinks: {copy: {type: postgres, dsn: "`+sink+`", tables: [{from: public.t, deletes: hard}]}}
`), func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	api := func(url string) *config.Config {
		t.Helper()
		cfg, err := config.Parse("sluice.yml", []byte(`source: {name: crm, dsn: "postgres://127.0.0.1/a", tables: [public.t]}
kafka: {brokers: ["127.0.0.1:9092"]}
schemas: {registry: embedded}
sinks: {api: {type: http, url: "`+url+`", tables: [{from: public.t, deletes: ignore, upsert: {path: /t}}]}}
`), func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	for _, test := range []struct {
		cfg  *config.Config
		want string // parts
	}{
		{parse("postgres://127.0.0.1/a", "127.0.0.1:9092", "", "http://localhost:8081", "host=/run/postgresql dbname=b"), ""},
		{parse("postgres://db/a?sslmode=verify-full", "kafka:9092", ", tls: {enabled: true}", "https://registry", "postgres://db/b?sslmode=verify-full"), ""},
		{parse("postgres://u:secret@db/a", "kafka:9092", "", "http://registry:8081", "postgres://db/b?sslmode=require"), "source,kafka,registry,sink copy"},
		{parse("postgres://127.0.0.1,db/a", "127.0.0.1:9092", "", "embedded", "postgres://localhost/b"), "source"},
		{api("https://billing.example"), ""},
		{api("http://127.0.0.1:8000/api"), ""},
		{api("http://billing.example/api"), "sink api"},
	} {
		var parts []string
		for _, f := range checkEncryption(test.cfg) {
			parts = append(parts, f.Part)
			if f.Verdict != verdictWarning || f.Fix == "" || strings.Contains(f.What+f.Fix, "secret") {
				t.Errorf("%+v", f)
			}
		}
		if got := strings.Join(parts, ","); got != test.want {
			t.Errorf("warned of %q, want %q", got, test.want)
		}
	}
}
