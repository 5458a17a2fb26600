package sink

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/transform"
)

// Defaults of a sink's keys, in one place.
const (
	DefaultMode     = ModeTransactions
	DefaultTruncate = TruncateRefuse
	DefaultCreate   = true
	DefaultEvolve   = EvolveAdd
)

// Config is what every entry of the section "sinks" shares, whatever its destination; a destination
// adds its own keys beside it.
type Config struct {
	// Name is the entry's key, Source is source.name. Both are set by the configuration's reader.
	Name   string `yaml:"-"`
	Source string `yaml:"-"`

	Type   string `yaml:"type"`
	Mode   Mode   `yaml:"mode,omitempty"`
	Create *bool  `yaml:"create,omitempty"` // create destination tables that are absent
	Evolve Evolve `yaml:"evolve,omitempty"`
	// Breaker holds mass changes until a person decides, Cadence says when changes are applied.
	Breaker *Breaker `yaml:"breaker,omitempty"`
	Cadence *Cadence `yaml:"cadence,omitempty"`
	// Parking sets rows that the destination refuses aside, with what follows them.
	Parking *Parking `yaml:"parking,omitempty"`
	// Tables are the entries of "tables". The configuration's reader sets them, since each kind of destination has its
	// own keys in the same entries.
	Tables []Table `yaml:"-"`
}

// Table maps a source table to a destination. A source may fill several destinations, by an entry for
// each, and several sources one, when constants in Columns tell their rows apart.
type Table struct {
	From string `yaml:"from"`         // as in SQL
	To   string `yaml:"to,omitempty"` // as in SQL; the same name when left out
	// Columns gives for a destination column what it holds; all columns under their own names when
	// left out.
	Columns transform.Columns `yaml:"columns,omitempty"`
	// Where says which rows belong. A row that stops to leaves by the policy Deletes.
	Where    *transform.Expression `yaml:"where,omitempty"`
	Deletes  Deletes               `yaml:"deletes"`
	Truncate TruncatePolicy        `yaml:"truncate,omitempty"`
	Breaker  *Breaker              `yaml:"breaker,omitempty"` // in place of the sink's
}

// Mode says how a sink walks through Kafka.
type Mode string

// ModeTransactions applies whole source transactions in commit order.
const ModeTransactions Mode = "transactions"

// Evolve says how far destination tables follow schema changes of the source's. What is not followed
// holds the sink, with the statements to run.
type Evolve string

// The extents, each with those before it.
const (
	EvolveNone Evolve = "none" // every difference holds the sink
	EvolveAdd  Evolve = "add"  // columns are added and types widened, nothing is taken away
	EvolveAll  Evolve = "all"  // columns are also renamed and dropped, keys changed, values converted where they stay the same
)

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
	if c.Evolve == "" {
		c.Evolve = DefaultEvolve
	}
	c.Breaker = c.limits(&Table{}).breaker()
	c.Parking = c.Parking.orDefault()
	if c.Cadence == nil {
		c.Cadence = &Cadence{}
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
	if c.Evolve != "" && c.Evolve != EvolveNone && c.Evolve != EvolveAdd && c.Evolve != EvolveAll {
		return fmt.Errorf("evolve: %q is none of add (columns are added and types widened), all (columns are renamed and dropped too) and none (a schema change holds the sink)", c.Evolve)
	}
	if len(c.Tables) == 0 {
		return errors.New("tables: missing: at least one {from: schema.table, deletes: ...}")
	}
	return c.validateTables()
}

func (c *Config) validateTables() error {
	for i := range c.Tables {
		path := fmt.Sprintf("tables[%d]", i)
		if err := c.Tables[i].validate(path); err != nil {
			return err
		}
		if c.archivesInto(&c.Tables[i]) {
			return fmt.Errorf("%s.deletes.archive: %s is the destination of a table: rows need another one to move to", path, c.Tables[i].Deletes.Archive)
		}
		for k := range c.Tables[:i] {
			if err := c.Tables[i].beside(&c.Tables[k], path, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// archivesInto tells whether a table's archive is a destination.
func (c *Config) archivesInto(t *Table) bool {
	return t.Deletes.Policy == DeleteArchive && slices.ContainsFunc(c.Tables, func(other Table) bool {
		return other.destination() == canonical(t.Deletes.Archive)
	})
}

// beside checks an entry against an earlier one with the same destination.
func (t *Table) beside(other *Table, path string, index int) error {
	if t.destination() != other.destination() {
		return nil
	}
	to := t.destination()
	switch {
	case t.source() == other.source():
		return fmt.Errorf("%s.to: %s receives %s by tables[%d] already: entries of one source table need destinations of their own", path, to, t.From, index)
	case !apart(t.Columns.Constants(), other.Columns.Constants()):
		return fmt.Errorf("%s.to: %s receives tables[%d] already: two source tables share a destination when the same columns hold constants in both and tell their rows apart, for example columns: {..., origin: \"'crm'\"}", path, to, index)
	case t.Truncate != other.Truncate || !reflect.DeepEqual(t.Deletes, other.Deletes):
		return fmt.Errorf("%s.deletes: %s receives tables[%d] too, with other policies: deletes and truncate of tables that share a destination are the same", path, to, index)
	case !reflect.DeepEqual(t.Breaker, other.Breaker):
		return fmt.Errorf("%s.breaker: %s receives tables[%d] too, with another breaker: tables that share a destination have the same", path, to, index)
	}
	return nil
}

// apart tells whether constants of the same columns differ.
func apart(a, b map[string]change.Value) bool {
	differ := false
	for name, v := range a {
		w, ok := b[name]
		if !ok {
			return false
		}
		differ = differ || v.Format == change.Text && w.Format == change.Text && string(v.Data) != string(w.Data)
	}
	return differ && len(a) == len(b)
}

// Shared tells whether another source fills the destination of table i too.
func (c *Config) Shared(i int) bool {
	return slices.ContainsFunc(c.Tables, func(t Table) bool {
		return t.destination() == c.Tables[i].destination() && t.source() != c.Tables[i].source()
	})
}

// Locate says in which file the expressions stand.
func (c *Config) Locate(file string) {
	for i := range c.Tables {
		t := &c.Tables[i]
		t.Columns.Locate(file)
		if t.Where != nil {
			t.Where.File = file
		}
	}
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
	if t.Truncate != "" && t.Truncate != TruncateRefuse && t.Truncate != TruncateApply {
		return fmt.Errorf("%s.truncate: %q is neither refuse (the sink stops and asks) nor apply", path, t.Truncate)
	}
	return t.Deletes.validate(path+".deletes", t.Columns)
}

// source and destination are the names in one spelling, to compare.
func (t *Table) source() string { return canonical(t.From) }

func (t *Table) destination() string { return canonical(t.destinationName()) }

func (t *Table) destinationName() string {
	if t.To == "" {
		return t.From
	}
	return t.To
}

func canonical(s string) string {
	schema, name, err := change.ParseName(s)
	if err != nil {
		return s
	}
	return change.FormatName(schema, name)
}
