package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/sluicecdc/sluice/internal/config"
	broker "github.com/sluicecdc/sluice/internal/kafka/embedded"
	registry "github.com/sluicecdc/sluice/schemas/registry/embedded"
)

// servers are the broker and the registry inside the process, each nil when the configuration names
// one outside.
type servers struct {
	broker   *broker.Broker
	registry *registry.Registry
	stop     context.CancelFunc
	served   chan error
}

// startServers starts what the configuration wants embedded.
// failed is told when the broker cannot go on: the process must
// end then.
func startServers(cfg *config.Config, log *slog.Logger, failed func(error)) (*servers, error) {
	s := &servers{}
	if cfg.Schemas.IsEmbedded() {
		if err := s.startRegistry(cfg, log); err != nil {
			return nil, err
		}
	}
	if cfg.Kafka.Brokers.Embedded() {
		var err error
		if s.broker, err = broker.Start(filepath.Join(cfg.DataDir, "kafka"), cfg.Kafka.EmbeddedListen, log, failed); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot start the embedded broker: %w", err), s.close())
		}
	}
	return s, nil
}

func (s *servers) startRegistry(cfg *config.Config, log *slog.Logger) error {
	listener, err := registry.Listen(cfg.Schemas.EmbeddedListen)
	if err != nil {
		return err
	}
	if s.registry, err = registry.Open(filepath.Join(cfg.DataDir, "registry"), log); err != nil {
		return errors.Join(fmt.Errorf("cannot open the embedded registry: %w", err), listener.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.served = stop, make(chan error, 1)
	go func() { s.served <- s.registry.Serve(ctx, listener) }()
	return nil
}

// close stops the servers. It comes last: everything else in the process is their client.
func (s *servers) close() error {
	var faults []error
	if s.broker != nil {
		faults = append(faults, s.broker.Close())
	}
	if s.registry != nil {
		s.stop()
		faults = append(faults, <-s.served, s.registry.Close())
	}
	return errors.Join(faults...)
}
