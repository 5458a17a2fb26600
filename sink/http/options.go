package http

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/sink"
)

// Options are everything that a destination needs to know.
type Options struct {
	Config
	// Name is the sink's and Source the source's: together they name the checkpoint and the lease.
	Name, Source string
	// Destinations are the tables as the sink has them.
	Destinations []Destination
	// Parks says that who stands before the sink sets refused rows aside: all of a batch are looked for. Otherwise the first
	// ends it.
	Parks bool
	// Kafka holds the checkpoint. It may be nil for Check.
	Kafka   *kafka.Client
	Lease   Lease // the zero value is DefaultLease
	Log     *slog.Logger
	Metrics *Metrics // may be nil
}

// Destination says how changes of one destination table become calls. Names are unquoted.
type Destination struct {
	Table
	Schema, Name string
	// From names the source tables that fill it, for people; FromSQL the first of them as in SQL.
	From, FromSQL string
	// Filtered says that rows enter and leave by a condition.
	Filtered bool
	Deletes  sink.Deletes
	Truncate sink.TruncatePolicy
}

// Lease is how the processes of a sink take turns.
type Lease struct {
	// Beat is how often the owner shows that it is there, Hold how long it goes on calling when nobody hears that,
	// and Take how long another process waits for a sign of life before it takes over. Beat < Hold < Take.
	Beat, Hold, Take time.Duration
}

// DefaultLease has a standby take over ten seconds after a death. Two beats may be lost before the owner stops, and
// its last calls have been cut for four seconds before another process makes its first.
var DefaultLease = Lease{Beat: 2 * time.Second, Hold: 6 * time.Second, Take: 10 * time.Second}

// FromConfig gives the options of a configured sink. own.Tables has an entry for each of common.Tables.
func FromConfig(common sink.Config, own Config) (Options, error) {
	common.SetDefaults()
	if err := own.Validate(common.Tables); err != nil {
		return Options{}, err
	}
	o := Options{Config: own.WithDefaults(), Name: common.Name, Source: common.Source, Parks: !common.Parking.Off}
	for i := range common.Tables {
		if err := o.add(&common.Tables[i], own.Tables[i]); err != nil {
			return Options{}, fmt.Errorf("tables[%d]: %w", i, err)
		}
	}
	return o, nil
}

// add joins entries that fill the same destination: the calls are those of the first.
func (o *Options) add(t *sink.Table, own Table) error {
	schema, name, err := change.ParseName(t.To)
	if err != nil {
		return fmt.Errorf("to: %w", err)
	}
	fromSchema, fromName, err := change.ParseName(t.From)
	if err != nil {
		return fmt.Errorf("from: %w", err)
	}
	from := fromSchema + "." + fromName
	for i := range o.Destinations {
		if d := &o.Destinations[i]; d.Schema == schema && d.Name == name {
			d.From += ", " + from
			d.Filtered = d.Filtered || t.Where != nil
			return nil
		}
	}
	o.Destinations = append(o.Destinations, Destination{
		Table: own, Schema: schema, Name: name, From: from, FromSQL: change.FormatName(fromSchema, fromName),
		Filtered: t.Where != nil, Deletes: t.Deletes, Truncate: t.Truncate,
	})
	return nil
}

// Locate says in which file paths and bodies stand.
func (c *Config) Locate(file string) {
	for i := range c.Tables {
		if l := c.Tables[i].Lookup; l != nil {
			l.Path.File = file
		}
		for _, k := range kinds {
			if call := c.Tables[i].call(k); call != nil {
				call.Path.File = file
				if call.Body != nil {
					call.Body.File = file
				}
			}
		}
	}
}
