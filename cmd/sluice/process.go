package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/registry"
	"github.com/sluicecdc/sluice/sink"
)

// process runs the parts of one operating system process and knows how they are.
type process struct {
	cfg     *config.Config
	what    parts
	log     *slog.Logger
	metrics *figures
	started time.Time
	broken  chan error // a server inside that all others need

	mu      sync.Mutex
	capture *capture.Capture
	sinks   map[string]*runningSink
}

// runningSink is a sink with what became of it.
type runningSink struct {
	runner *sink.Runner // nil until Kafka answered
	failed error
	drift  []sink.Drift // as sluice verify found it last
}

func newProcess(cfg *config.Config, what parts, log *slog.Logger) *process {
	p := &process{cfg: cfg, what: what, log: log, metrics: newFigures(), started: time.Now(), broken: make(chan error, 1), sinks: map[string]*runningSink{}}
	for _, name := range what.sinks {
		p.sinks[name] = &runningSink{}
	}
	return p
}

// run blocks until ctx ends, which stops gracefully within drain_timeout, or a part that the others
// cannot do without has failed.
func (p *process) run(ctx context.Context) (err error) {
	defer func() {
		if err == nil {
			p.log.Info("sluice has stopped: all that was begun is finished")
		}
	}()
	p.log.Info("sluice starts", "version", buildOf().Version, "source", p.cfg.Source.Name,
		"capture", p.what.capture, "sinks", p.what.sinks, "console", p.what.console)
	ended := make(chan error, 1)
	abort, stopAll := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAll()
	go func() { ended <- p.serve(ctx, abort) }()
	select {
	case err := <-ended:
		return err
	case err := <-p.broken:
		return err
	case <-ctx.Done():
	}
	p.log.Info("sluice stops: finishing what is under way", "at_most", p.cfg.DrainTimeout)
	late := time.NewTimer(p.cfg.DrainTimeout)
	defer late.Stop()
	select {
	case err := <-ended:
		return err
	case err := <-p.broken:
		return err
	case <-late.C:
		return fmt.Errorf("cannot finish within drain_timeout (%s): nothing is lost, what was under way is done again at the next start", p.cfg.DrainTimeout)
	}
}

// serve runs everything. ctx asks to stop, abort is the life of what must outlast that.
func (p *process) serve(ctx, abort context.Context) (err error) {
	console, err := p.startConsole(abort)
	if err != nil {
		return err
	}
	// Last of all, so that the state of a stopping process can be seen.
	defer func() { err = errors.Join(err, console.close()) }()
	if p.what.capture {
		inside, err := startServers(p.cfg, p.log, func(err error) { p.broken <- err })
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, inside.close()) }()
	}
	client, err := kafka.Open(ctx, p.cfg.Kafka, p.log)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer client.Close()
	client.Measure(p.metrics.kafka)
	schemas, err := registry.New(p.cfg.Schemas, p.log)
	if err != nil {
		return err
	}
	defer schemas.Close()
	schemas.Observe(p.metrics.registry)
	return p.flow(ctx, abort, client, schemas)
}

// flow runs capture and sinks. They stop upstream first: what capture has published by then still
// reaches the destinations that keep up, and nobody waits for a part that is gone already.
func (p *process) flow(ctx, abort context.Context, client *kafka.Client, schemas *registry.Client) error {
	captureLife, stopCapture := context.WithCancel(abort)
	defer stopCapture()
	sinkLife, stopSinks := context.WithCancel(abort)
	defer stopSinks()

	sinks, err := p.startSinks(sinkLife, client, schemas)
	if err != nil {
		return err
	}
	// A destination's failure never holds the source up: capture goes on beside failed sinks, whose
	// state says what happened. Without capture the process ends with its sinks.
	upstream, first := sinks, stage{}
	if p.what.capture {
		first = p.startCapture(captureLife, client, schemas)
		upstream = first
	}
	select {
	case <-ctx.Done():
	case <-upstream.done:
	}
	stopCapture()
	err = first.wait()
	stopSinks()
	return errors.Join(err, sinks.wait())
}

// stage is something that runs until it is done.
type stage struct {
	done chan struct{}
	err  *error
}

func start(f func() error) stage {
	s := stage{make(chan struct{}), new(error)}
	go func() {
		defer close(s.done)
		*s.err = f()
	}()
	return s
}

// wait gives the error that the stage ended with; a stage that was never started has none.
func (s stage) wait() error {
	if s.done == nil {
		return nil
	}
	<-s.done
	return *s.err
}

// unlessStopped forgets an error that comes of being asked to stop.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
