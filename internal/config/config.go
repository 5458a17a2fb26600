// Package config reads sluice.yml. What enters is a file and the environment; what leaves is one
// Config whose every section has been validated, or an error that says for each fault where it stands
// and what was expected. The sections belong to the components; this package owns what spans them.
package config

import (
	"time"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/console"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/registry"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/http"
	"github.com/sluicecdc/sluice/sink/postgres"
	"github.com/sluicecdc/sluice/transform"
)

// Config is the whole file.
type Config struct {
	Source  capture.Config  `yaml:"source"`
	Kafka   kafka.Config    `yaml:"kafka"`
	Schemas registry.Config `yaml:"schemas"`
	// Transforms are what is done to tables before Kafka.
	Transforms []transform.Rule `yaml:"transforms,omitempty"`
	Sinks      map[string]Sink  `yaml:"sinks"`
	Console    console.Config   `yaml:"console"`
	// DataDir holds the embedded broker and registry.
	DataDir string `yaml:"data_dir"`
	// Memory is the budget of all queues and buffers of a process, in bytes.
	Memory Size `yaml:"memory"`
	// DrainTimeout is how long a stopping process may take to finish what it has begun.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
}

// Sink is one entry of "sinks": what all kinds share, and the keys of its own kind beside it.
type Sink struct {
	sink.Config `yaml:",inline"`
	Postgres    postgres.Config `yaml:",inline"`
	HTTP        http.Config     `yaml:",inline"`
	// Entries are the tables as they are written. complete gives each kind its part of them.
	Entries []Table `yaml:"tables"`
}

// Table is one entry of a sink's "tables": what all kinds share, and the keys of its own kind beside it.
type Table struct {
	sink.Table `yaml:",inline"`
	HTTP       http.Table `yaml:",inline"`
}

// The kinds of sink.
const (
	TypePostgres = "postgres"
	TypeHTTP     = "http"
)

// Default gives the settings that hold where the file says nothing.
func Default() *Config {
	return &Config{
		Kafka:   kafka.DefaultConfig(),
		Schemas: registry.Defaults(),
		DataDir: "./sluice-data",
		// Room for a quarter each of log not yet decoded, records not yet acknowledged, records fetched
		// ahead and batches decoded ahead, in a process that does both sides of Kafka.
		Memory:       256 << 20,
		DrainTimeout: 30 * time.Second,
	}
}

// locate says in which file the expressions stand, for errors that come when a table is known.
func (c *Config) locate(file string) {
	for i := range c.Transforms {
		c.Transforms[i].Locate(file)
	}
	for _, s := range c.Sinks {
		s.Locate(file)
		s.HTTP.Locate(file)
	}
}

// complete sets what follows from other settings.
func (c *Config) complete() {
	c.Source = c.Source.WithDefaults()
	c.Source.TimestamptzISO = c.Schemas.Timestamptz == registry.TimestamptzISO
	c.Console = c.Console.WithDefaults()
	for name, s := range c.Sinks {
		s.Name, s.Source = name, c.Source.Name
		s.complete()
		c.Sinks[name] = s
	}
}

// complete hands the tables to the kinds, and takes back what was left out.
func (s *Sink) complete() {
	s.Tables, s.HTTP.Tables = nil, nil
	for _, e := range s.Entries {
		s.Tables = append(s.Tables, e.Table)
		s.HTTP.Tables = append(s.HTTP.Tables, e.HTTP)
	}
	written := s.Config
	s.SetDefaults()
	if s.Type == TypeHTTP {
		s.leaveOut(&written)
	}
	for i := range s.Entries {
		s.Entries[i].Table = s.Tables[i]
	}
}

// leaveOut takes back defaults of keys that are not for APIs, so that they are neither printed nor taken for written.
func (s *Sink) leaveOut(written *sink.Config) {
	s.Mode, s.Create, s.Evolve = written.Mode, written.Create, written.Evolve
	s.Breaker.Share = nil
	if written.Breaker != nil {
		s.Breaker.Share = written.Breaker.Share
	}
}
