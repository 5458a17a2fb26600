package kafka

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Config is the section "kafka" of the configuration.
type Config struct {
	// Brokers are addresses host:port to begin with, or the word "embedded".
	Brokers Brokers `yaml:"brokers"`
	// EmbeddedListen is where the embedded broker listens, and where everyone finds it.
	EmbeddedListen string `yaml:"embedded_listen"`
	// Partitions is the partition count of a new table topic.
	Partitions int `yaml:"partitions"`
	// Replication is the number of copies of a new topic; 0 takes 3, or as many as there are brokers.
	Replication int `yaml:"replication"`
	// MinInsyncReplicas is how many copies must hold a record before it counts as written; 0 takes 2
	// where there are three copies or more, else 1.
	MinInsyncReplicas int `yaml:"min_insync_replicas"`
	// MaxMessageBytes is the largest record batch of a new topic, in bytes.
	MaxMessageBytes int `yaml:"max_message_bytes"`
	// Retention is how long new table topics keep their records; 0 keeps them for ever, so that a
	// sink that is added late, or was away for long, misses nothing.
	Retention time.Duration `yaml:"retention"`
	// Tombstones says whether a delete is followed by a record with a null value. Default true.
	Tombstones *bool `yaml:"tombstones"`
	// Transactions wraps transactions of the source in Kafka transactions, so that readers in read_committed see
	// each at once, in all its topics.
	Transactions bool `yaml:"transactions"`
	// Compression says how record batches are packed: none, lz4 or zstd.
	Compression Compression `yaml:"compression"`
	TLS         TLS         `yaml:"tls"`
	SASL        SASL        `yaml:"sasl"`
}

// DefaultConfig gives what holds where the configuration is silent.
func DefaultConfig() Config {
	tombstones := true
	return Config{
		EmbeddedListen:  "127.0.0.1:9092",
		Partitions:      3,
		MaxMessageBytes: 16 << 20, // room for a row of PostgreSQL's usual large values, before and after
		Tombstones:      &tombstones,
		Compression:     CompressNone, // on one machine packing cost more than it saved; docs/performance.md
	}
}

// withDefaults fills what is not set.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.EmbeddedListen == "" {
		c.EmbeddedListen = d.EmbeddedListen
	}
	if c.Partitions == 0 {
		c.Partitions = d.Partitions
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = d.MaxMessageBytes
	}
	if c.Tombstones == nil {
		c.Tombstones = d.Tombstones
	}
	if c.Compression == "" {
		c.Compression = d.Compression
	}
	return c
}

// WriteTombstones tells whether deletes are followed by tombstones.
func (c Config) WriteTombstones() bool { return c.Tombstones == nil || *c.Tombstones }

// Validate names the first key with a value that cannot work.
func (c Config) Validate() error {
	for _, check := range []func() error{c.validateBrokers, c.validateTopics, c.Compression.validate, c.TLS.validate, c.SASL.validate} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) validateBrokers() error {
	if len(c.Brokers) == 0 {
		return errors.New(`kafka.brokers is empty: want a list of host:port, or the word "embedded"`)
	}
	if c.Brokers.Embedded() {
		if c.EmbeddedListen == "" {
			return nil
		}
		return validAddress("kafka.embedded_listen", c.EmbeddedListen)
	}
	for _, b := range c.Brokers {
		if err := validAddress("kafka.brokers", b); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) validateTopics() error {
	for _, v := range []struct {
		key      string
		n        int
		min, max int
	}{
		{"kafka.partitions", c.Partitions, 1, 10_000},
		{"kafka.replication", c.Replication, 1, 100},
		{"kafka.min_insync_replicas", c.MinInsyncReplicas, 1, 100},
		{"kafka.max_message_bytes", c.MaxMessageBytes, 64 << 10, 1 << 30},
	} {
		if v.n != 0 && (v.n < v.min || v.n > v.max) {
			return fmt.Errorf("%s is %d: want %d to %d", v.key, v.n, v.min, v.max)
		}
	}
	if c.Replication != 0 && c.MinInsyncReplicas > c.Replication {
		return fmt.Errorf("kafka.min_insync_replicas (%d) is above kafka.replication (%d): nothing could ever be written",
			c.MinInsyncReplicas, c.Replication)
	}
	if c.Retention != 0 && c.Retention < time.Minute {
		return fmt.Errorf("kafka.retention is %v: want at least 1m, or 0 to keep records for ever", c.Retention)
	}
	return nil
}

func validAddress(key, addr string) error {
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return fmt.Errorf("%s: %q is not an address: want host:port", key, addr)
	}
	return nil
}

// Brokers is a list of addresses, or the single word "embedded".
type Brokers []string

const embeddedWord = "embedded"

// Embedded tells whether the broker is the one inside the process that runs capture.
func (b Brokers) Embedded() bool { return len(b) == 1 && b[0] == embeddedWord }

// UnmarshalYAML takes a list of addresses or one word.
func (b *Brokers) UnmarshalYAML(decode func(any) error) error {
	var word string
	if decode(&word) == nil {
		*b = Brokers{word}
		return nil
	}
	var list []string
	if err := decode(&list); err != nil {
		return errors.New(`want a list of host:port, or the word "embedded"`)
	}
	*b = list
	return nil
}

// addresses gives where to begin.
func (c Config) addresses() []string {
	if c.Brokers.Embedded() {
		return []string{c.EmbeddedListen}
	}
	return c.Brokers
}
