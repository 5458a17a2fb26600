package sink

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
)

// Defaults of a sink's keys, in one place.
const (
	DefaultMode     = ModeTransactions
	DefaultTruncate = TruncateRefuse
	DefaultCreate   = true
)

// Config is what every entry of the section "sinks" shares, whatever its destination; a destination
// adds its own keys beside it.
type Config struct {
	// Name is the entry's key, Source is source.name. Both are set by the configuration's reader.
	Name   string `yaml:"-"`
	Source string `yaml:"-"`

	Type   string  `yaml:"type"`
	Mode   Mode    `yaml:"mode,omitempty"`
	Create *bool   `yaml:"create,omitempty"` // create destination tables that are absent
	Tables []Table `yaml:"tables"`
}

// Table maps one source table to its destination.
type Table struct {
	From string `yaml:"from"`         // as in SQL
	To   string `yaml:"to,omitempty"` // as in SQL; the same name when left out
	// Columns gives for a destination column the source column it holds; all columns under their own
	// names when left out.
	Columns  map[string]string `yaml:"columns,omitempty"`
	Deletes  Deletes           `yaml:"deletes"`
	Truncate TruncatePolicy    `yaml:"truncate,omitempty"`
}

// Mode says how a sink walks through Kafka.
type Mode string

// ModeTransactions applies whole source transactions in commit order.
const ModeTransactions Mode = "transactions"

// TruncatePolicy says what a TRUNCATE at the source does at the destination.
type TruncatePolicy string

// The policies for a TRUNCATE.
const (
	TruncateRefuse TruncatePolicy = "refuse" // the sink is held, see HeldError
	TruncateApply  TruncatePolicy = "apply"
)

// SetDefaults fills in what was left out.
func (c *Config) SetDefaults() {
	if c.Mode == "" {
		c.Mode = DefaultMode
	}
	if c.Create == nil {
		create := DefaultCreate
		c.Create = &create
	}
	for i := range c.Tables {
		t := &c.Tables[i]
		if t.To == "" {
			t.To = t.From
		}
		if t.Truncate == "" {
			t.Truncate = DefaultTruncate
		}
	}
}

// CreateTables tells whether absent destination tables are to be created.
func (c *Config) CreateTables() bool {
	return c.Create == nil && DefaultCreate || c.Create != nil && *c.Create
}

// Validate checks the values. Its error starts with the offending key's path below the sink.
func (c *Config) Validate() error {
	if c.Type == "" {
		return errors.New("type: missing: the kind of destination, for example postgres")
	}
	if c.Mode != "" && c.Mode != ModeTransactions {
		return fmt.Errorf("mode: %q is not built: only transactions is", c.Mode)
	}
	if len(c.Tables) == 0 {
		return errors.New("tables: missing: at least one {from: schema.table, deletes: ...}")
	}
	return c.validateTables()
}

func (c *Config) validateTables() error {
	from, to := map[string]int{}, map[string]int{}
	for i := range c.Tables {
		t := &c.Tables[i]
		path := fmt.Sprintf("tables[%d]", i)
		if err := t.validate(path); err != nil {
			return err
		}
		if first, ok := from[t.source()]; ok {
			return fmt.Errorf("%s.from: %s is in tables[%d] already: a table goes to one place in a sink", path, t.From, first)
		}
		if first, ok := to[t.destination()]; ok {
			return fmt.Errorf("%s.to: %s receives tables[%d] already: two source tables cannot share a destination", path, t.destination(), first)
		}
		from[t.source()], to[t.destination()] = i, i
	}
	return nil
}

func (t *Table) validate(path string) error {
	if t.From == "" {
		return fmt.Errorf("%s.from: missing: the source table, for example public.customers", path)
	}
	if _, _, err := change.ParseName(t.From); err != nil {
		return fmt.Errorf("%s.from: %w", path, err)
	}
	if t.To != "" {
		if _, _, err := change.ParseName(t.To); err != nil {
			return fmt.Errorf("%s.to: %w", path, err)
		}
	}
	if err := validateColumns(path, t.Columns); err != nil {
		return err
	}
	if t.Truncate != "" && t.Truncate != TruncateRefuse && t.Truncate != TruncateApply {
		return fmt.Errorf("%s.truncate: %q is neither refuse (the sink stops and asks) nor apply", path, t.Truncate)
	}
	return t.Deletes.validate(path+".deletes", t.Columns)
}

// validateColumns accepts plain names only: anything else is an expression, and those are not built.
func validateColumns(path string, columns map[string]string) error {
	for _, to := range sortedKeys(columns) {
		from := columns[to]
		if to == "" || from == "" {
			return fmt.Errorf("%s.columns: an empty name: want destination column: source column", path)
		}
		if !plainName(from) {
			return fmt.Errorf("%s.columns.%s: %q is not the plain name of a source column: expressions are not built", path, to, from)
		}
	}
	return nil
}

// source and destination are the names in one spelling, to compare.
func (t *Table) source() string { return canonical(t.From) }

func (t *Table) destination() string {
	if t.To == "" {
		return canonical(t.From)
	}
	return canonical(t.To)
}

func canonical(s string) string {
	schema, name, err := change.ParseName(s)
	if err != nil {
		return s
	}
	return change.FormatName(schema, name)
}

// plainName tells a column's name, spaces and dots included, from an expression.
func plainName(s string) bool {
	for _, r := range s {
		switch r {
		case '(', ')', '"', '\'', '+', '*', '/', '=', '<', '>', '!', '?', '[', ']', '{', '}', '&', '|', ',':
			return false
		}
	}
	return true
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
