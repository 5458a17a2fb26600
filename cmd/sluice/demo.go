package main

import (
	"context"
	"errors"
	"io"

	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/demo"
)

type demoCmd struct {
	Once bool `help:"Make the tour, compare both sides and exit: 0 when they are the same, 3 when not."`
}

// Help is shown by "sluice demo --help".
func (demoCmd) Help() string {
	return "Starts a PostgreSQL server of its own (installed here, or downloaded once) with a CRM and a billing database, an embedded broker " +
		"and registry, and sluice between them; makes changes and shows each as it arrives. Then it goes on running, for you to try, until " +
		"interrupted, and takes everything away again. It reads no configuration and touches no other server."
}

// Run runs the demo.
func (c *demoCmd) Run(a *app) error {
	err := demo.Run(a.ctx, demo.Options{
		Out: a.out, Colour: a.colourful(a.out), Live: isTerminal(a.out), Once: c.Once, Program: a.program,
		Getenv: func(name string) string { v, _ := a.env(name); return v },
		Serve:  a.serveFile,
	})
	if errors.Is(err, demo.ErrDiffers) {
		return errBad
	}
	return err
}

// serveFile is "sluice run" of another file and with another log.
func (a *app) serveFile(ctx context.Context, file string, log io.Writer) error {
	cfg, err := config.Load(file, a.env)
	if err != nil {
		return err
	}
	what := parts{capture: true, sinks: sinkNames(cfg), console: cfg.Console.Listen}
	return newProcess(cfg, what, newLogger(log, a.cli.LogFormat, a.cli.LogLevel)).run(ctx)
}
