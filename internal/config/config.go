// Package config reads sluice.yml. What enters is a file and the environment; what leaves is one
// Config whose every section has been validated, or an error that says for each fault where it stands
// and what was expected. The sections belong to the components; this package owns what spans them.
package config

import (
	"time"
)

// Config is the whole file.
type Config struct {
	Source  sourceSection          `yaml:"source"`
	Kafka   kafkaSection           `yaml:"kafka"`
	Schemas schemasSection         `yaml:"schemas"`
	Sinks   map[string]sinkSection `yaml:"sinks"`
	Console consoleSection         `yaml:"console"`
	// DataDir holds the embedded broker and registry, and what is spooled.
	DataDir string `yaml:"data_dir"`
	// Memory is the budget of all queues and buffers of a process, in bytes.
	Memory Size `yaml:"memory"`
	// DrainTimeout is how long a stopping process may take to finish what it has begun.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
}

// Default gives the settings that hold where the file says nothing. Those of the sections are set by
// their owners.
func Default() *Config {
	return &Config{
		DataDir: "./sluice-data",
		// 64 MiB of received log, 64 MiB of records not acknowledged, 64 MiB of fetched records and 64
		// MiB of decoded batches in a process that does both sides.
		Memory:       256 << 20,
		DrainTimeout: 30 * time.Second,
	}
}

func (c *Config) complete() {}
