package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/deadletter"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/registry"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/consume"
	"github.com/sluicecdc/sluice/sink/http"
	"github.com/sluicecdc/sluice/sink/postgres"
)

// destination is what this binary asks of every kind of sink beside sink.Sink.
type destination interface {
	sink.Sink
	Check(ctx context.Context) []sink.Finding
	CheckShapes(ctx context.Context, shapes []*change.Table) []sink.Finding
	ColumnTypes(ctx context.Context, schema, name string) (map[string]string, error)
	Teardown(ctx context.Context) error
}

// newDestination is the one switch from kind to constructor. Kafka, where a kind keeps its checkpoint there, may be nil
// for a look at the destination, and so may the metrics.
func newDestination(s config.Sink, log *slog.Logger, client *kafka.Client, metrics *http.Metrics) (destination, error) {
	switch s.Type {
	case config.TypePostgres:
		o, err := postgres.FromConfig(s.Config, s.Postgres, log)
		if err != nil {
			return nil, fmt.Errorf("sinks.%s: %w", s.Name, err)
		}
		return postgres.New(o)
	case config.TypeHTTP:
		o, err := http.FromConfig(s.Config, s.HTTP)
		if err != nil {
			return nil, fmt.Errorf("sinks.%s: %w", s.Name, err)
		}
		o.Log, o.Kafka, o.Metrics = log, client, metrics
		return http.New(o)
	default:
		return nil, fmt.Errorf("sinks.%s.type: %q is not a kind of sink", s.Name, s.Type)
	}
}

// sinkParts are what the sinks of a process share.
type sinkParts struct {
	kafka    *kafka.Client
	registry *registry.Client
	log      *slog.Logger
	metrics  *sink.Metrics
	http     *http.Metrics
	shares   shares
	drain    time.Duration
	ask      func(context.Context, []sink.Wish) error
}

// newRunner wires one sink: its destination behind the runner, which opens a consumer behind the
// destination's checkpoint.
func newRunner(s config.Sink, p sinkParts) (*sink.Runner, error) {
	dest, err := newDestination(s, p.log, p.kafka, p.http) // it names itself in the log, and so does the runner
	if err != nil {
		return nil, err
	}
	steering := sink.NewSteering()
	mapped, err := sink.Mapped(sink.Guarded(dest, &s.Config, steering, p.log, p.metrics), &s.Config)
	if err != nil {
		return nil, fmt.Errorf("sinks.%s: %w", s.Name, err)
	}
	read := consume.Config{Source: s.Source, Sink: s.Name, BufferBytes: p.shares.fetched, BatchBytes: p.shares.batch}
	for _, t := range s.Tables {
		schema, name, err := change.ParseName(t.From)
		if err != nil {
			return nil, fmt.Errorf("sinks.%s: %w", s.Name, err)
		}
		if table := (consume.TableName{Schema: schema, Name: name}); !slices.Contains(read.Tables, table) {
			read.Tables = append(read.Tables, table)
		}
	}
	deps := consume.Deps{Kafka: p.kafka, Registry: p.registry, Log: p.log.With("sink", s.Name), Dropped: p.metrics.CutShort(s.Name)}
	parked := sink.Parked(mapped, &s.Config, sink.ParkingDeps{
		Lot: deadletter.Open(p.kafka, s.Source, s.Name), Steering: steering, Log: p.log, Metrics: p.metrics,
		Obeyed: func(ctx context.Context, id string) error { return takeBack(ctx, p.kafka, &s.Config, id) },
	})
	return sink.New(s.Config, parked, sink.Deps{
		Open: func(ctx context.Context, from sink.Checkpoint, alone change.LSN) (sink.Consumer, error) {
			read := read
			read.Alone = alone
			return consume.Open(ctx, read, deps, from)
		},
		Steering: steering,
		Post:     func(ctx context.Context, w *sink.Waiting) error { return postWaiting(ctx, p.kafka, &s.Config, w) },
		Ask:      p.ask,
		Offsets:  p.kafka, DrainTimeout: p.drain, Log: p.log, Metrics: p.metrics,
	}), nil
}
