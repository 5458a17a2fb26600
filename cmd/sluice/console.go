package main

import (
	"context"

	"github.com/sluicecdc/sluice/internal/console"
)

// runningConsole is the HTTP server of a process.
type runningConsole struct {
	stop context.CancelFunc
	stage
}

// startConsole listens before anything else is started, so that a process that waits for its servers
// can be asked what it waits for.
func (p *process) startConsole(life context.Context) (*runningConsole, error) {
	key := "console.listen"
	if !p.what.capture {
		key = "console.sink_listen"
	}
	c := console.New(p.cfg.Console, console.Options{
		Address: p.what.console, Key: key, Log: p.log, Metrics: p.metrics.all,
		Status: func() any { return p.status() }, Ready: p.ready,
	})
	if _, err := c.Listen(); err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(life)
	return &runningConsole{stop, start(func() error { return c.Run(life) })}, nil
}

func (c *runningConsole) close() error {
	c.stop()
	return c.wait()
}
