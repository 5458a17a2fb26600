package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// fault is one broken rule and the key that it is laid to.
type fault struct{ path, message string }

// faults checks every section by its own rules, then what spans sections.
func (c *Config) faults() []fault {
	var all []fault
	section := func(path string, err error) { all = append(all, sectionFaults(path, err)...) }
	section("source", c.Source.Validate())
	section("kafka", c.Kafka.Validate())
	section("schemas", c.Schemas.Validate())
	for i := range c.Transforms {
		section(fmt.Sprintf("transforms[%d]", i), c.Transforms[i].Validate())
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		if !sinkName.MatchString(name) {
			all = append(all, fault{"sinks." + name, fmt.Sprintf("sinks: %q is not a name for a sink: want letters, digits, _ and -", name)})
		}
		s := c.Sinks[name]
		section("sinks."+name, s.validate())
	}
	section("console", c.Console.Validate())
	return slices.Concat(all, c.ownFaults(), c.crossFaults())
}

// validate checks an entry by the rules of all sinks and those of its kind.
func (s *Sink) validate() error {
	switch s.Type {
	case TypeHTTP:
		return errors.Join(s.withoutTables(), s.Config.Validate(), foreign(s.Postgres, "", TypePostgres), s.HTTP.Validate(s.Tables))
	case TypePostgres, "":
		return errors.Join(s.Config.Validate(), s.withoutHTTP(), s.Postgres.Validate())
	default:
		return fmt.Errorf("type: %q is not a kind of sink: there are %s and %s", s.Type, TypePostgres, TypeHTTP)
	}
}

// withoutHTTP finds keys of sinks of type http.
func (s *Sink) withoutHTTP() error {
	errs := []error{foreign(s.HTTP, "", TypeHTTP)}
	for i := range s.Entries {
		errs = append(errs, foreign(s.Entries[i].HTTP, fmt.Sprintf("tables[%d].", i), TypeHTTP))
	}
	return errors.Join(errs...)
}

// withoutTables finds keys that all kinds of sink share and that would be without effect for an API, which has rows but no
// tables.
func (s *Sink) withoutTables() error {
	const share = "breaker.share: it is for destinations that can tell how many rows a table has, and an API cannot: remove it; rows, in window, is the limit"
	var errs []error
	add := func(written bool, message string) {
		if written {
			errs = append(errs, errors.New(message))
		}
	}
	add(s.Mode != "", "mode: it is for destinations with transactions, and an API has none: remove it; an API is called row by row, and concurrency: 1 with changes: every keeps the order of commits across rows")
	add(s.Create != nil, "create: it is for destinations with tables of their own, and nothing is created at an API: remove it; the call that makes a row is create, or upsert, of each table")
	add(s.Evolve != "", "evolve: it is for destinations with tables of their own, and an API has no columns that could follow: remove it; columns and the body of each call say what is sent")
	add(s.Breaker.Share != nil, share)
	for i := range s.Tables {
		b := s.Tables[i].Breaker
		add(b != nil && b.Share != nil, fmt.Sprintf("tables[%d].%s", i, share))
	}
	return errors.Join(errs...)
}

// foreign finds a key of another kind of sink, which would be without effect. own is that kind's part.
func foreign(own any, path, kind string) error {
	v := reflect.ValueOf(own)
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if key != "-" && !v.Field(i).IsZero() {
			return fmt.Errorf("%s%s: it belongs to sinks of type %s: remove it, or write type: %s", path, key, kind, kind)
		}
	}
	return nil
}

// sinkName keeps the names usable in topics, groups, metrics and on the command line.
var sinkName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// minMemory leaves each of the four kinds of buffer 4 MiB: a batch of 256 KiB for each of 16
// partitions.
const minMemory = 16 << 20

func (c *Config) ownFaults() []fault {
	var all []fault
	if c.DataDir == "" {
		all = append(all, fault{"data_dir", "data_dir is empty: want a folder that this process may write to"})
	}
	if c.Memory < minMemory {
		all = append(all, fault{"memory", fmt.Sprintf("memory is %s: want at least %s", c.Memory, Size(minMemory))})
	}
	if c.DrainTimeout <= 0 || c.DrainTimeout > time.Hour {
		all = append(all, fault{"drain_timeout", fmt.Sprintf("drain_timeout is %s: want more than 0s and at most 1h", c.DrainTimeout)})
	}
	return all
}

// leadingPath is the key that a component's error begins with, by the house rule for them.
var leadingPath = regexp.MustCompile(`^[a-z][a-z0-9_]*(?:\[\d+\]|\.[A-Za-z0-9_-]+)*`)

// sectionFaults lays each error of a section to the key that its message begins with.
func sectionFaults(section string, err error) []fault {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []fault
		for _, e := range many.Unwrap() {
			all = append(all, sectionFaults(section, e)...)
		}
		return all
	}
	message := Redact(err.Error())
	key := leadingPath.FindString(message)
	switch {
	case key == section || strings.HasPrefix(key, section+"."):
		return []fault{{key, message}}
	case strings.HasPrefix(message[len(key):], ":"):
		return []fault{{join(section, key), section + "." + message}}
	default:
		return []fault{{section, section + ": " + message}}
	}
}
