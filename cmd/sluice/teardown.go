package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
)

type teardownCmd struct {
	Yes bool `short:"y" help:"Do not ask."`
}

// Help is shown by "sluice teardown --help".
func (teardownCmd) Help() string {
	return "Drops the slot and the publication at the source, and what sluice keeps about itself at the destinations (sluice.progress, locks). " +
		"Rows at the destinations, Kafka's topics and registered schemas stay: remove those by hand when nobody reads them any more. " +
		"Stop capture and the sinks first."
}

// Run says what it would remove, asks, and removes it.
func (c *teardownCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	a.announce(cfg)
	if !c.Yes {
		yes, err := a.confirm("Remove this?")
		if err != nil {
			return err
		}
		if !yes {
			fmt.Fprintln(a.out, "Nothing was removed.")
			return nil
		}
	}
	return errors.Join(a.tearSourceDown(cfg), a.tearSinksDown(cfg))
}

func (a *app) announce(cfg *config.Config) {
	s := cfg.Source
	fmt.Fprintf(a.out, "At the source %s:\n  replication slot %s (changes from here on are kept for nobody)\n  publication %s\n", s.Name, s.Slot, s.Publication)
	for _, name := range sinkNames(cfg) {
		if s := cfg.Sinks[name]; s.Type == config.TypeHTTP {
			fmt.Fprintf(a.out, "In Kafka, of sink %s:\n  its checkpoint in %s (the next start makes every call again)\n", name, schemas.SinkTopic(s.Source, name))
			continue
		}
		fmt.Fprintf(a.out, "At the destination of sink %s:\n  its checkpoint in sluice.progress and its tables in sluice.owners and its locks; the schema sluice when nothing else is in it\n", name)
	}
	fmt.Fprintf(a.out, "Rows at destinations, topics of Kafka (%s.*) and registered schemas stay.\n", s.Name)
}

// confirm asks on the terminal. Without one the answer cannot be had, and that is an error.
func (a *app) confirm(question string) (bool, error) {
	if !isTerminal(a.in) {
		return false, usageError{errors.New("nobody to ask: stdin is not a terminal; say --yes to remove what is listed")}
	}
	fmt.Fprintf(a.out, "%s [y/N] ", question)
	answers := make(chan string, 1)
	go func() { // ends with the process: reading a terminal cannot be interrupted
		line, _ := bufio.NewReader(a.in).ReadString('\n')
		answers <- line
	}()
	select {
	case <-a.ctx.Done():
		return false, nil
	case line := <-answers:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return true, nil
		}
		return false, nil
	}
}

func (a *app) tearSourceDown(cfg *config.Config) error {
	ctx, cancel := context.WithTimeout(a.ctx, checkTime)
	defer cancel()
	dropped, err := capture.Teardown(ctx, cfg.Source)
	for _, what := range dropped {
		fmt.Fprintf(a.out, "dropped %s\n", what)
	}
	if err != nil {
		return fmt.Errorf("cannot tear down the source: %w", err)
	}
	if len(dropped) == 0 {
		fmt.Fprintln(a.out, "nothing of ours was at the source")
	}
	return nil
}

func (a *app) tearSinksDown(cfg *config.Config) error {
	var faults []error
	for _, name := range sinkNames(cfg) {
		if err := tearSinkDown(a.ctx, cfg, cfg.Sinks[name]); err != nil {
			faults = append(faults, err) // it names the sink
			continue
		}
		fmt.Fprintf(a.out, "removed the checkpoint of sink %s\n", name)
	}
	return errors.Join(faults...)
}

func tearSinkDown(ctx context.Context, cfg *config.Config, s config.Sink) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var client *kafka.Client
	if s.Type == config.TypeHTTP {
		var err error
		if client, err = kafka.Open(ctx, cfg.Kafka, slog.New(slog.DiscardHandler)); err != nil {
			return fmt.Errorf("sink %s: cannot remove its checkpoint: %w", s.Name, err)
		}
		defer client.Close()
	}
	dest, err := newDestination(s, slog.New(slog.DiscardHandler), client, nil)
	if err != nil {
		return err
	}
	return dest.Teardown(ctx)
}
