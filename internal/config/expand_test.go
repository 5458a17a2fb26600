package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestExpand(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(secret, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"":                         "",
		"plain":                    "plain",
		"${PARTITIONS}":            "6",
		"a${PARTITIONS}b${EMPTY}c": "a6bc",
		"$$":                       "$",
		"$${PARTITIONS}":           "${PARTITIONS}",
		"cost $5, 5$":              "cost $5, 5$",
		"${file:" + secret + "}":   "from a file",
	} {
		if got, err := expand(in, testEnv); got != want || err != nil {
			t.Errorf("expand(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"${", "${}", "${A B}", "${NOWHERE}", "${file:}", "${file:" + t.TempDir() + "}"} {
		if got, err := expand(in, testEnv); err == nil {
			t.Errorf("expand(%q) = %q, want an error", in, got)
		}
	}
}

// A variable is one value, whatever YAML would make of it, and for every type that reads YAML.
func TestVariableIsNotYAML(t *testing.T) {
	src := "source: {name: crm, dsn: \"${TRICKY}\"}\nkafka:\n  partitions: ${PARTITIONS}\n  brokers: [\"${TRICKY}\"]\n"
	f := newFaults("sluice.yml", []byte(src))
	cfg := decodeOnly(t, f, src)
	want, _ := testEnv("TRICKY")
	if len(f.list) > 0 || cfg.Source.DSN != want || cfg.Kafka.Brokers[0] != want || cfg.Kafka.Partitions != 6 {
		t.Errorf("got %q, %q, %d, %v", cfg.Source.DSN, cfg.Kafka.Brokers, cfg.Kafka.Partitions, f.err())
	}
}
