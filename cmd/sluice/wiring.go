package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/capture/publish"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/control"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/registry"
	"github.com/sluicecdc/sluice/sink"
)

// startCapture wires capture to the publisher and runs it.
func (p *process) startCapture(life context.Context, client *kafka.Client, schemas *registry.Client) stage {
	cfg := p.cfg.Source
	share := divide(p.cfg.Memory, len(p.what.sinks))
	cfg.BufferBytes, cfg.CopyBytes = share.received, share.copied
	cfg.DrainTimeout = p.cfg.DrainTimeout / 2 // the sinks get the rest
	options := publish.Options{
		Source: cfg.Name, Database: databaseOf(cfg.DSN), Version: buildOf().Version, Partitions: p.cfg.Kafka.Partitions,
		Tombstones: p.cfg.Kafka.WriteTombstones(), Transactions: p.cfg.Kafka.Transactions, Truncate: publish.TruncateMode(cfg.Truncate), BufferBytes: share.produced,
		Transforms: p.cfg.Transforms,
	}
	open := func(ctx context.Context, tables []*change.Table) (capture.Downstream, error) {
		return publish.Open(ctx, options, client, schemas, tables, p.log.With("source", cfg.Name), p.metrics.publish)
	}
	c := capture.New(cfg, open, p.log, p.metrics.capture) // it names itself in the log
	p.mu.Lock()
	p.capture = c
	p.mu.Unlock()
	return start(func() error {
		listening, stop := context.WithCancel(life)
		heard := start(func() error { p.listen(listening, client, c); return nil })
		defer func() { stop(); _ = heard.wait() }()
		if err := c.Run(life); err != nil {
			p.log.Error("capture has stopped: nothing is confirmed beyond what Kafka holds", "source", cfg.Name, "error", err)
			return fmt.Errorf("capture of source %s: %w", cfg.Name, err)
		}
		return nil
	})
}

// listen has capture obey what people want of it.
func (p *process) listen(ctx context.Context, client *kafka.Client, c *capture.Capture) {
	told := func(err error) {
		p.log.Warn("cannot read what people want of capture, trying again; it goes on", "source", p.cfg.Source.Name, "error", err)
	}
	if err := control.Ensure(ctx, client, p.cfg.Source.Name); err != nil && ctx.Err() == nil {
		told(err)
	}
	control.Follow(ctx, client, p.cfg.Source.Name, func(w control.Wishes) { c.RequestCopies(copyRequests(w)) }, told)
}

// databaseOf gives the name of the database that a connection string leads to.
func databaseOf(dsn string) string {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return "" // the configuration was validated
	}
	return cfg.Database
}

// startSinks wires every sink of the process and runs them side by side; the stage ends with the last.
func (p *process) startSinks(life context.Context, client *kafka.Client, schemas *registry.Client) (stage, error) {
	shared := sinkParts{
		kafka: client, registry: schemas, log: p.log, metrics: p.metrics.sink, http: p.metrics.http,
		shares: divide(p.cfg.Memory, len(p.what.sinks)), drain: p.cfg.DrainTimeout / 2, // capture has the first half
		ask: func(ctx context.Context, wishes []sink.Wish) error { return askForRows(ctx, p.cfg, client, wishes) },
	}
	for _, name := range p.what.sinks {
		runner, err := newRunner(p.cfg.Sinks[name], shared)
		if err != nil {
			return stage{}, err
		}
		p.mu.Lock()
		p.sinks[name].runner = runner
		p.mu.Unlock()
	}
	var all []stage
	for _, name := range p.what.sinks {
		all = append(all, start(func() error { return p.runSink(life, name) }))
	}
	return start(func() error {
		listening, stop := context.WithCancel(life)
		heard := start(func() error { p.steer(listening, client); return nil })
		defer func() { stop(); _ = heard.wait() }()
		var faults []error
		for _, s := range all {
			faults = append(faults, s.wait())
		}
		return errors.Join(faults...)
	}), nil
}

// steer has the sinks obey what people want of them. They wait for the first word.
func (p *process) steer(ctx context.Context, client *kafka.Client) {
	control.Follow(ctx, client, p.cfg.Source.Name,
		func(w control.Wishes) {
			for _, name := range p.what.sinks {
				p.sinks[name].runner.Steer(sinkWishes(w, name))
			}
		},
		func(err error) {
			p.log.Warn("cannot read what people want of the sinks, trying again; those that run go on, others wait: one may be paused",
				"source", p.cfg.Source.Name, "error", err)
		})
}

func (p *process) runSink(life context.Context, name string) error {
	watching, stop := context.WithCancel(life)
	watched := start(func() error { p.watchDrift(watching, name); return nil })
	defer func() { stop(); _ = watched.wait() }()
	err := p.sinks[name].runner.Run(life)
	if err == nil {
		return nil
	}
	p.log.Error("sink has stopped: its checkpoint is intact, other sinks and capture go on", "sink", name, "error", err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sinks[name].failed = err
	return fmt.Errorf("sink %s: %w", name, err)
}
