package postgres

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// Config is what a sink of type postgres has beside the keys common to all sinks.
type Config struct {
	// DSN names the destination, as a URL or as key=value pairs (PostgreSQL manual, 34.1.1).
	DSN string `yaml:"dsn"`
	// Lock guards the columns that are synced against writes of others.
	Lock LockMode `yaml:"lock,omitempty"`
}

// Validate names the key that is wrong. The DSN itself is never repeated: it may hold a password.
func (c Config) Validate() error {
	if c.DSN == "" {
		return fmt.Errorf("dsn: missing: name the destination, for example postgres://user@host:5432/database")
	}
	if err := c.Lock.validate(); err != nil {
		return err
	}
	if _, err := pgconn.ParseConfig(c.DSN); err != nil {
		return fmt.Errorf("dsn: not a PostgreSQL address: want postgres://user@host:5432/database or host=... dbname=...")
	}
	return nil
}

// Place tells destinations apart: servers and database, whoever connects. It is empty when the DSN cannot be read.
func (c Config) Place() string {
	cfg, err := pgconn.ParseConfig(c.DSN)
	if c.DSN == "" || err != nil {
		return ""
	}
	return fmt.Sprintf("%s:%d/%s", strings.ToLower(cfg.Host), cfg.Port, cfg.Database)
}

// Options are everything that a destination needs to know.
type Options struct {
	Config
	// Name is the sink's and Source the source's: together they name the checkpoint and the lease.
	Name, Source string
	Tables       []Table
	// Create says that tables (and their schemas) that are absent are created.
	Create bool
	// Evolve says how far tables follow schema changes. Columns that the configuration lists are neither
	// added, renamed nor dropped.
	Evolve sink.Evolve
	Log    *slog.Logger
}

// Table says how changes of one destination table are applied. Names are as in the catalog, unquoted.
type Table struct {
	ToSchema, ToName string
	// From names the source tables that fill it, for people.
	From string
	// Columns are those that the configuration lists; nil when it takes what the source has.
	Columns []string
	// Shared says that several source tables fill it.
	Shared bool
	// Filtered says that rows enter and leave by a condition.
	Filtered bool
	Deletes  Deletes
	// Soft is what a delete sets, with Deletes Soft. A row that is created again gets the columns'
	// defaults back, so that it does not stay marked.
	Soft []SoftColumn
	// ArchiveSchema and ArchiveName are where rows go, with Deletes Archive.
	ArchiveSchema, ArchiveName string
	// Truncate says that a TRUNCATE is applied, as the deletion of every row by the policy Deletes;
	// otherwise it holds the sink.
	Truncate bool
}

// Deletes is the policy for deleted rows. There is no default.
type Deletes byte

// The policies.
const (
	_       Deletes = iota
	Hard            // the row is deleted
	Soft            // the row stays, and gets the values of Table.Soft
	Ignore          // nothing happens
	Archive         // the row moves to the archive table, with time and position
)

func (d Deletes) String() string {
	return map[Deletes]string{Hard: "hard", Soft: "soft", Ignore: "ignore", Archive: "archive"}[d]
}

// SoftColumn is one assignment of a soft delete. Value is read by the column's type; nil is NULL,
// and "now" in a timestamp column is the time of the destination transaction.
type SoftColumn struct {
	Column string
	Value  *string
}

func (o Options) validate() error {
	if err := o.Config.Validate(); err != nil {
		return err
	}
	taken := map[string]string{}
	for _, t := range o.Tables {
		if err := t.validate(); err != nil {
			return fmt.Errorf("table %s: %w", t.to(), err)
		}
		if other := taken[t.to()]; other != "" {
			return fmt.Errorf("tables %s and %s both go to %s: rows of one would overwrite those of the other", other, t.From, t.to())
		}
		taken[t.to()] = t.From
	}
	return nil
}

func (t Table) validate() error {
	switch {
	case t.Deletes < Hard || t.Deletes > Archive:
		return fmt.Errorf("deletes: missing: choose hard, ignore, {soft: {column: value}} or {archive: schema.table}")
	case t.Deletes == Soft && len(t.Soft) == 0:
		return fmt.Errorf("deletes: soft names no column to set, for example {soft: {active: false}}")
	case t.Deletes == Archive && t.ArchiveName == "":
		return fmt.Errorf("deletes: archive names no table, for example {archive: history.customers}")
	}
	return nil
}

func (t Table) to() string { return t.ToSchema + "." + t.ToName }

// Destination names the table as the configuration does.
func (t Table) Destination() string { return change.FormatName(t.ToSchema, t.ToName) }
