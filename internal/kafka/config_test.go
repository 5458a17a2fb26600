package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func TestConfigFromYAML(t *testing.T) {
	c := DefaultConfig()
	text := "brokers: [a:1, b:2]\npartitions: 6\nretention: 168h\ntombstones: false\ntls: {enabled: true, ca: f.pem}\nsasl: {mechanism: PLAIN, username: u, password: p}\n"
	if err := yaml.UnmarshalWithOptions([]byte(text), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if len(c.Brokers) != 2 || c.Partitions != 6 || c.Retention != 168*time.Hour || c.WriteTombstones() || c.SASL.Password != "p" || c.MaxMessageBytes != 16<<20 {
		t.Errorf("got %+v", c)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	out, err := yaml.Marshal(c)
	if err != nil || !strings.Contains(string(out), hidden) || strings.Contains(string(out), "password: p\n") {
		t.Errorf("%s: %v", out, err)
	}
	if err := yaml.Unmarshal([]byte("brokers: embedded"), &c); err != nil || !c.Brokers.Embedded() {
		t.Errorf("got %v: %v", c.Brokers, err)
	}
}

func TestConfigErrorsNameTheKey(t *testing.T) {
	for text, say := range map[string]string{
		"partitions: 1":                                          "kafka.brokers is empty",
		"brokers: [nonsense]":                                    "kafka.brokers",
		"brokers: [a:1]\npartitions: -1":                         "kafka.partitions is -1",
		"brokers: [a:1]\nmax_message_bytes: 5":                   "kafka.max_message_bytes is 5",
		"brokers: [a:1]\nretention: 1s":                          "kafka.retention is 1s",
		"brokers: [a:1]\nreplication: 1\nmin_insync_replicas: 2": "kafka.min_insync_replicas (2) is above kafka.replication (1)",
		"brokers: [a:1]\ntls: {ca: x}":                           "kafka.tls.enabled is not true",
		"brokers: [a:1]\ntls: {enabled: true, cert: x}":          "kafka.tls.cert and kafka.tls.key",
		"brokers: [a:1]\nsasl: {username: x}":                    "kafka.sasl.mechanism is missing",
		"brokers: [a:1]\nsasl: {mechanism: GSSAPI}":              "kafka.sasl.mechanism is \"GSSAPI\"",
		"brokers: [a:1]\nsasl: {mechanism: PLAIN, username: x}":  "kafka.sasl.password",
		"brokers: embedded\nembedded_listen: here":               "kafka.embedded_listen",
	} {
		var c Config
		if err := yaml.UnmarshalWithOptions([]byte(text), &c, yaml.Strict()); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: got %v, want %q", text, err, say)
		}
	}
}
