package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/internal/config"
)

// processFlags are those of every command that runs components.
type processFlags struct {
	Console string `placeholder:"ADDR" help:"Serve the console here instead of where the configuration says."`
}

type runCmd struct {
	processFlags
}

// Help is shown by "sluice run --help".
func (runCmd) Help() string {
	return "An interrupt stops gracefully within drain_timeout, a second one at once; neither loses anything."
}

// Run runs capture and every sink.
func (c *runCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	return a.serve(cfg, parts{capture: true, sinks: sinkNames(cfg), console: orDefault(c.Console, cfg.Console.Listen)})
}

type captureCmd struct {
	processFlags
}

// Run runs capture alone.
func (c *captureCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	collectAt(captureGrowth)
	return a.serve(cfg, parts{capture: true, console: orDefault(c.Console, cfg.Console.Listen)})
}

type sinkCmd struct {
	processFlags
	Names []string `arg:"" optional:"" name:"name" help:"Sinks of the configuration; all of them when none is named."`
}

// Run runs the sinks that are named, or all.
func (c *sinkCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	names, err := chooseSinks(cfg, c.Names)
	if err != nil {
		return err
	}
	return a.serve(cfg, parts{sinks: names, console: orDefault(c.Console, cfg.Console.SinkListen)})
}

// chooseSinks gives the sinks that are meant by names, all of them by none.
func chooseSinks(cfg *config.Config, names []string) ([]string, error) {
	all := sinkNames(cfg)
	if len(all) == 0 {
		return nil, usageError{fmt.Errorf("the configuration has no sinks: add one under the key sinks")}
	}
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if _, ok := cfg.Sinks[name]; !ok {
			return nil, usageError{fmt.Errorf("there is no sink %q in the configuration: it has %s", name, strings.Join(all, ", "))}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func sinkNames(cfg *config.Config) []string { return slices.Sorted(maps.Keys(cfg.Sinks)) }

func orDefault(flag, setting string) string {
	if flag != "" {
		return flag
	}
	return setting
}

// serve runs a process until it is asked to stop or a part fails.
func (a *app) serve(cfg *config.Config, what parts) error {
	return newProcess(cfg, what, a.logger()).run(a.ctx)
}

// parts are what a process runs.
type parts struct {
	capture bool
	sinks   []string
	console string // host:port
}
