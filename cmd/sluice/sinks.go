package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/registry"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/consume"
	"github.com/sluicecdc/sluice/sink/postgres"
)

// destination is what this binary asks of every kind of sink beside sink.Sink.
type destination interface {
	sink.Sink
	Check(ctx context.Context) []postgres.Finding
	Teardown(ctx context.Context) error
}

// newDestination is the one switch from kind to constructor.
func newDestination(s config.Sink, log *slog.Logger) (destination, error) {
	switch s.Type {
	case config.TypePostgres:
		o, err := postgresOptions(s, log)
		if err != nil {
			return nil, err
		}
		return postgres.New(o)
	default:
		return nil, fmt.Errorf("sinks.%s.type: %q is not a kind of sink", s.Name, s.Type)
	}
}

func postgresOptions(s config.Sink, log *slog.Logger) (postgres.Options, error) {
	o := postgres.Options{
		Config: s.Postgres, Name: s.Name, Source: s.Source, Create: s.CreateTables(), Evolve: true, Log: log,
	}
	for _, t := range s.Tables {
		table, err := postgresTable(t)
		if err != nil {
			return o, fmt.Errorf("sinks.%s: %w", s.Name, err)
		}
		o.Tables = append(o.Tables, table)
	}
	return o, nil
}

func postgresTable(t sink.Table) (p postgres.Table, err error) {
	if p.FromSchema, p.FromName, err = change.ParseName(t.From); err != nil {
		return p, err
	}
	if p.ToSchema, p.ToName, err = change.ParseName(t.To); err != nil {
		return p, err
	}
	p.Columns = t.Columns
	p.Truncate = t.Truncate == sink.TruncateApply
	switch t.Deletes.Policy {
	case sink.DeleteHard:
		p.Deletes = postgres.Hard
	case sink.DeleteIgnore:
		p.Deletes = postgres.Ignore
	case sink.DeleteSoft:
		p.Deletes = postgres.Soft
		for _, a := range t.Deletes.Set {
			p.Soft = append(p.Soft, postgres.SoftColumn{Column: a.Column, Value: a.Value})
		}
	}
	return p, nil
}

// sinkParts are what the sinks of a process share.
type sinkParts struct {
	kafka    *kafka.Client
	registry *registry.Client
	log      *slog.Logger
	metrics  *sink.Metrics
	shares   shares
}

// newRunner wires one sink: its destination behind the runner, which opens a consumer behind the
// destination's checkpoint.
func newRunner(s config.Sink, p sinkParts) (*sink.Runner, error) {
	dest, err := newDestination(s, p.log) // it names itself in the log, and so does the runner
	if err != nil {
		return nil, err
	}
	read := consume.Config{Source: s.Source, BufferBytes: p.shares.fetched, BatchBytes: p.shares.batch}
	for _, t := range s.Tables {
		schema, name, err := change.ParseName(t.From)
		if err != nil {
			return nil, fmt.Errorf("sinks.%s: %w", s.Name, err)
		}
		read.Tables = append(read.Tables, consume.TableName{Schema: schema, Name: name})
	}
	deps := consume.Deps{Kafka: p.kafka, Registry: p.registry, Log: p.log.With("sink", s.Name), Dropped: p.metrics.CutShort(s.Name)}
	return sink.New(s.Config, dest, sink.Deps{
		Open: func(ctx context.Context, from sink.Checkpoint) (sink.Consumer, error) {
			return consume.Open(ctx, read, deps, from)
		},
		Offsets: p.kafka, Log: p.log, Metrics: p.metrics,
	}), nil
}
