package transform

import (
	"errors"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// Rule is one entry of the section "transforms": what is done to a table's changes before Kafka. All
// of it names the source's columns; filter and compute see them as they are in the source.
type Rule struct {
	Table   string            `yaml:"table"` // as in SQL
	Filter  *Expression       `yaml:"filter,omitempty"`
	Compute Columns           `yaml:"compute,omitempty"`
	Drop    []string          `yaml:"drop,omitempty"`
	Mask    map[string]Mask   `yaml:"mask,omitempty"`
	Salt    string            `yaml:"salt,omitempty"` // of sha256, a secret
	Rename  map[string]string `yaml:"rename,omitempty"`
}

// Validate checks what needs no table. Its error starts with the offending key.
func (r *Rule) Validate() error {
	if r.Table == "" {
		return errors.New("table: missing: the source table, for example public.customers")
	}
	if _, _, err := change.ParseName(r.Table); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	if r.Filter == nil && len(r.Compute) == 0 && len(r.Drop) == 0 && len(r.Mask) == 0 && len(r.Rename) == 0 {
		return errors.New("table: nothing is done to it: want filter, drop, mask, rename or compute")
	}
	for _, name := range r.Drop {
		if _, both := r.Mask[name]; both {
			return fmt.Errorf("mask: column %s is dropped too", name)
		}
	}
	for old, name := range r.Rename {
		if name == "" {
			return fmt.Errorf("rename: column %s gets no name", old)
		}
	}
	return nil
}

// Unsalted tells whether a hash is made without a secret of the user's: whoever knows what the values
// look like, as those of phone numbers, can hash all of them and compare.
func (r *Rule) Unsalted() bool {
	for _, m := range r.Mask {
		if m.Kind == MaskSHA256 {
			return r.Salt == ""
		}
	}
	return false
}

// Locate says in which file the expressions stand.
func (r *Rule) Locate(file string) {
	if r.Filter != nil {
		r.Filter.File = file
	}
	r.Compute.Locate(file)
}

// Locate says in which file the expressions stand.
func (c Columns) Locate(file string) {
	for i := range c {
		c[i].From.File = file
	}
}

// Covers tells whether the rule is about a table.
func (r *Rule) Covers(t *change.Table) bool {
	schema, name, err := change.ParseName(r.Table)
	return err == nil && schema == t.Schema && name == t.Name
}

// Compile gives the mapping for a version of the table.
func (r *Rule) Compile(t *change.Table) (*Mapping, error) {
	m, err := r.compile(t)
	if err != nil {
		return nil, fmt.Errorf("cannot transform table %s: %w", t.QualifiedName(), err)
	}
	return m, nil
}

func (r *Rule) compile(t *change.Table) (*Mapping, error) {
	cells, err := drop(t, all(t), r.Drop)
	if err != nil {
		return nil, err
	}
	if err = mask(t, cells, r.Mask, r.Salt); err != nil {
		return nil, err
	}
	if cells, err = rename(t, cells, r.Rename); err != nil {
		return nil, err
	}
	computed, err := project(t, r.Compute)
	if err != nil {
		return nil, err
	}
	m, err := newMapping(t, append(cells, computed...), t.Schema, t.Name, false)
	if err == nil && r.Filter != nil {
		m.filter, err = compileFilter(*r.Filter, t)
	}
	return m, err
}
