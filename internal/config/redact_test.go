package config

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://u:pw@h:5432/db":                     "postgres://u:***@h:5432/db",
		"postgres://u:p@w/x@h/db?sslmode=require":       "postgres://u:***@h/db?sslmode=require",
		"postgres://u@h/db?password=pw&sslmode=disable": "postgres://u@h/db?password=***&sslmode=disable",
		"postgres://h/db?sslpassword=pw":                "postgres://h/db?sslpassword=***",
		"host=h password=pw dbname=d":                   "host=h password=*** dbname=d",
		`host=h password = 'p w \' x' dbname=d`:         "host=h password = *** dbname=d",
		"host=h PASSWORD='open":                         "host=h PASSWORD=***",
		"host=h user=password":                          "host=h user=password",
		"http://127.0.0.1:8081":                         "http://127.0.0.1:8081",
		"postgres://h:5432/db":                          "postgres://h:5432/db",
		"no connection string":                          "no connection string",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRedactLine(t *testing.T) {
	for in, want := range map[string]string{
		"  password: pw # note":           "  password: ***",
		`  sasl: {password: "p w", x: y}`: "  sasl: {password: ***",
		"  token: 'abc'":                  "  token: ***",
		"  token_file: /run/token":        "  token_file: /run/token",
		"  password:":                     "  password:",
	} {
		if got := redactLine(in); got != want {
			t.Errorf("redactLine(%q) = %q, want %q", in, got, want)
		}
	}
}

// However a configuration is printed, no secret shows.
func TestPrintedWithoutSecrets(t *testing.T) {
	cfg := mustParse(t, fullFile)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "config", cfg)
	yaml, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%v %+v", *cfg, cfg), log.String(), string(yaml)} {
		if strings.Contains(text, "s3cr3t") || strings.Contains(text, "s3 cr3t") {
			t.Errorf("a secret shows in\n%s", text)
		}
		if !strings.Contains(text, "capture:***@crm.example") {
			t.Errorf("the connection string is gone from\n%s", text)
		}
	}
	if cfg.Source.DSN == "" || strings.Contains(cfg.Source.DSN, Stars) {
		t.Error("redacting changed the original")
	}
}
