package capture

import (
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
)

// Config is the section "source" of the configuration.
type Config struct {
	// Name is the prefix of every topic.
	Name string `yaml:"name"`
	// DSN is a PostgreSQL connection string, as URL or as key=value words. It must lead to the
	// server itself: a pooler does not pass replication through.
	DSN string `yaml:"dsn"`
	// Tables are names as SQL writes them, or patterns with * ("sales.*").
	Tables      []string       `yaml:"tables"`
	Slot        string         `yaml:"slot"`
	Publication string         `yaml:"publication"`
	Snapshot    SnapshotConfig `yaml:"snapshot"`
	OnGap       string         `yaml:"on_gap"`
	Truncate    string         `yaml:"truncate"`
	// DDL says whether an event trigger at the source describes schema changes in the log.
	DDL string `yaml:"ddl"`
	// Messages are the prefixes of pg_logical_emit_message that are published, each as it stands.
	Messages []string `yaml:"messages"`

	// TimestamptzISO has records hold a timestamp with time zone as text (schemas.timestamptz).
	TimestamptzISO bool `yaml:"-"`
	// DecodingMemory is PostgreSQL's setting of that name on our connection: how much of a transaction
	// it holds in memory before it writes the rest to its disk, row by row. A transaction of a million
	// rows of eight columns takes about 400 MB, and is sent half as fast again when it fits.
	DecodingMemory string `yaml:"logical_decoding_work_mem"`

	// BufferBytes bounds the part of the stream that waits to be decoded. It is set by the process
	// from its memory budget.
	BufferBytes int `yaml:"-"`
	// CopyBytes bounds, to within a factor of two, what is read of tables and waits for its place in the
	// stream; likewise.
	CopyBytes int `yaml:"-"`
	// DrainTimeout bounds the wait for Kafka at a graceful stop.
	DrainTimeout time.Duration `yaml:"-"`
}

// SnapshotConfig says whether and how the rows that are there at first are copied.
type SnapshotConfig struct {
	Mode    string `yaml:"mode"`
	Workers int    `yaml:"workers"`
	// Chunk is about how much is read in one transaction, as PostgreSQL writes a size.
	Chunk string `yaml:"chunk"`
	// MaxRowsPerSecond bounds what is copied; 0 does not.
	MaxRowsPerSecond int `yaml:"max_rows_per_second"`
	// MaxReplicaLag has copies wait while a physical standby of the source replays later; 0 does not.
	MaxReplicaLag time.Duration `yaml:"max_replica_lag"`
}

// chunkBytes gives Chunk in bytes.
func (c SnapshotConfig) chunkBytes() int64 {
	digits := strings.TrimRight(c.Chunk, "kMGB")
	n, _ := strconv.ParseInt(digits, 10, 64)
	switch c.Chunk[len(digits):] {
	case "kB":
		return n << 10
	case "MB":
		return n << 20
	}
	return n << 30
}

// The values of snapshot.mode, on_gap, ddl and truncate.
const (
	SnapshotInitial = "initial"
	SnapshotNever   = "never"

	GapStop      = "stop"
	GapReconcile = "reconcile"

	DDLNone    = "none"
	DDLTrigger = "trigger"

	TruncatePublish = "publish"
	TruncateValue   = "value"
	TruncateSkip    = "skip"
)

const (
	// defaultBuffer is 32 slabs: 30 ms of a stream at the fastest rate that one slot gives.
	defaultBuffer = 32 * slabBytes
	defaultCopies = 16 << 20
	defaultDrain  = 10 * time.Second
)

// WithDefaults fills what was left out.
func (c Config) WithDefaults() Config {
	setDefault(&c.Slot, identifier("sluice_"+c.Name))
	setDefault(&c.Publication, identifier("sluice_"+c.Name))
	setDefault(&c.Snapshot.Mode, SnapshotInitial)
	setDefault(&c.Snapshot.Workers, 2)
	setDefault(&c.Snapshot.Chunk, "2MB")
	setDefault(&c.OnGap, GapStop)
	setDefault(&c.Truncate, TruncatePublish)
	setDefault(&c.DDL, DDLNone)
	setDefault(&c.DecodingMemory, "512MB")
	setDefault(&c.BufferBytes, defaultBuffer)
	setDefault(&c.CopyBytes, defaultCopies)
	setDefault(&c.DrainTimeout, defaultDrain)
	return c
}

func setDefault[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

// maxIdentifier is NAMEDATALEN less its terminator.
const maxIdentifier = 63

// identifier makes a legal slot name of s: lower case letters, digits and _. A name that had to be
// cut ends in a hash of the whole, so that two long names stay apart.
func identifier(s string) string {
	legal := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, strings.ToLower(s))
	if len(legal) <= maxIdentifier {
		return legal
	}
	h := fnv.New32a()
	h.Write([]byte(s))
	return fmt.Sprintf("%s_%08x", legal[:maxIdentifier-9], h.Sum32())
}

// maxChunk keeps transactions at the source short and what is read in memory small.
const maxChunk = 64 << 20

var (
	legalName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	legalSize = regexp.MustCompile(`^[1-9][0-9]{0,8}(kB|MB|GB)$`)
	legalSlot = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)
)

// Validate names the first key that is wrong. What was left out is taken as its default.
func (c Config) Validate() error {
	c = c.WithDefaults()
	switch {
	case c.Name == "":
		return errors.New("name: is missing: it is the prefix of every topic, for example crm")
	case !legalName.MatchString(c.Name) || len(c.Name) > 100:
		return fmt.Errorf("name: %q is not usable in topic names: want up to 100 letters, digits, _, - and dots", c.Name)
	case c.DSN == "":
		return errors.New("dsn: is missing: for example postgres://capture@db.example:5432/crm")
	case !legalSlot.MatchString(c.Slot):
		return fmt.Errorf("slot: %q is not a slot name: want 1 to 63 lower case letters, digits and _", c.Slot)
	case c.Publication == "" || len(c.Publication) > maxIdentifier:
		return fmt.Errorf("publication: %q is not a name of 1 to 63 bytes", c.Publication)
	}
	if _, err := pgconn.ParseConfig(c.DSN); err != nil {
		return fmt.Errorf("dsn: %w", err)
	}
	return errors.Join(c.validateTables(), c.validateChoices())
}

func (c Config) validateTables() error {
	if len(c.Tables) == 0 {
		return errors.New(`tables: is missing: for example [public.customers, "sales.*"]`)
	}
	for i, t := range c.Tables {
		if _, err := change.ParsePattern(t); err != nil {
			return fmt.Errorf("tables[%d]: %w", i, err)
		}
	}
	return nil
}

func (c Config) validateChoices() error {
	if c.Snapshot.Workers < 1 || c.Snapshot.Workers > 64 {
		return fmt.Errorf("snapshot.workers: %d: want 1 to 64", c.Snapshot.Workers)
	}
	if c.Snapshot.MaxRowsPerSecond < 0 {
		return fmt.Errorf("snapshot.max_rows_per_second: %d: want 0, for no bound, or more", c.Snapshot.MaxRowsPerSecond)
	}
	if c.Snapshot.MaxReplicaLag < 0 {
		return fmt.Errorf("snapshot.max_replica_lag: %s: want 0s, for no bound, or more", c.Snapshot.MaxReplicaLag)
	}
	if !legalSize.MatchString(c.Snapshot.Chunk) || c.Snapshot.chunkBytes() > maxChunk {
		return fmt.Errorf("snapshot.chunk: %q: want a size of up to 64MB as PostgreSQL writes it, for example 2MB", c.Snapshot.Chunk)
	}
	if !legalSize.MatchString(c.DecodingMemory) {
		return fmt.Errorf("logical_decoding_work_mem: %q: want a size as PostgreSQL writes it, for example 512MB", c.DecodingMemory)
	}
	for i, p := range c.Messages {
		if p == "" || strings.HasPrefix(p, heartbeatPrefix) || strings.HasPrefix(p, ddlPrefix) {
			return fmt.Errorf("messages[%d]: %q: want a prefix of logical messages; %s and %s are our own", i, p, heartbeatPrefix, ddlPrefix)
		}
	}
	return errors.Join(
		oneOf("snapshot.mode", c.Snapshot.Mode, SnapshotInitial, SnapshotNever),
		oneOf("on_gap", c.OnGap, GapStop, GapReconcile),
		oneOf("ddl", c.DDL, DDLNone, DDLTrigger),
		oneOf("truncate", c.Truncate, TruncatePublish, TruncateValue, TruncateSkip),
	)
}

func oneOf(key, value string, want ...string) error {
	for _, w := range want {
		if value == w {
			return nil
		}
	}
	return fmt.Errorf("%s: %q: want %s", key, value, strings.Join(want, " or "))
}
