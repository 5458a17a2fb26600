package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/alecthomas/kong"

	"github.com/sluicecdc/sluice/internal/config"
)

// cli is the command line. The flags of the top may stand before or after the command.
type cli struct {
	Config    string `short:"c" default:"sluice.yml" placeholder:"FILE" help:"Configuration (default: sluice.yml)."`
	LogFormat string `enum:"text,json" default:"text" placeholder:"FORM" help:"Form of the log on stderr: text or json."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"Least level to log: debug, info, warn or error."`

	Demo     demoCmd     `cmd:"" help:"See it work on this machine, with a PostgreSQL of its own. Needs nothing."`
	Check    checkCmd    `cmd:"" help:"Look at source, Kafka, registry and destinations; name each fault with its fix."`
	Run      runCmd      `cmd:"" help:"Run capture and all sinks in one process."`
	Capture  captureCmd  `cmd:"" help:"Read the source and write its changes to Kafka."`
	Sink     sinkCmd     `cmd:"" help:"Apply topics to destinations: all sinks, or those named."`
	Status   statusCmd   `cmd:"" help:"Show what the running processes do and how far behind they are."`
	Pause    pauseCmd    `cmd:"" help:"Pause a sink; it keeps its position."`
	Resume   resumeCmd   `cmd:"" help:"Let a paused sink go on."`
	Approve  approveCmd  `cmd:"" help:"Let through what holds a sink: a mass change, or a TRUNCATE."`
	Skip     skipCmd     `cmd:"" help:"Leave out what holds a sink."`
	DLQ      dlqCmd      `cmd:"" name:"dlq" help:"Show the changes that a sink has parked, apply them again, or drop them."`
	Sync     syncCmd     `cmd:"" help:"Have a sink with a cadence apply what there is now."`
	Snapshot snapshotCmd `cmd:"" help:"Copy tables again, and see and steer the copies that are under way."`
	Verify   verifyCmd   `cmd:"" help:"Compare destinations with the source, row by row, and repair what differs."`
	Tail     tailCmd     `cmd:"" help:"Print the records of a topic as JSON lines."`
	Schema   schemaCmd   `cmd:"" help:"Show a table's records, or what a statement would do to them."`
	Rehearse rehearseCmd `cmd:"" help:"Show what inserts, updates, deletes and TRUNCATEs would do at the destinations, without doing it."`
	Teardown teardownCmd `cmd:"" help:"Remove slot and publication from the source, and our tables from destinations."`
	Settings configCmd   `cmd:"" name:"config" help:"Show the effective configuration, without secrets."`
	Version  versionCmd  `cmd:"" help:"Show version, Go version and commit."`
}

// streams are the process's three.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// app is what every command gets.
type app struct {
	streams
	ctx context.Context
	cli *cli
	env config.Env
	// program is how the person called this program, for commands that are shown.
	program string
}

const description = "One-way change data capture from PostgreSQL through Kafka to its destinations."

// leave unwinds the parser when it wants the process to end, after printing help.
type leave int

// run parses the arguments, runs the command and gives the exit code. ctx ends when the process is
// to stop gracefully.
func run(ctx context.Context, args []string, std streams, env config.Env) (code int) {
	defer func() {
		if p := recover(); p != nil {
			l, ok := p.(leave)
			if !ok {
				panic(p)
			}
			code = int(l)
		}
	}()
	a := &app{streams: std, ctx: ctx, cli: &cli{}, env: env, program: invocation()}
	parser, err := kong.New(a.cli,
		kong.Name("sluice"), kong.Description(description),
		kong.Writers(std.out, std.err), kong.Exit(func(code int) { panic(leave(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		return a.end(err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		return a.end(err)
	}
	return a.end(command.Run(a))
}

// end tells the error, unless the command has said all on stdout, and gives the exit code.
func (a *app) end(err error) int {
	code := exitCode(err)
	var parse *kong.ParseError
	switch {
	case err == nil || errors.Is(err, errBad):
	case errors.As(err, &parse):
		fmt.Fprintf(a.err, "sluice: %v\nTry: sluice --help\n", err)
	default:
		fmt.Fprintf(a.err, "sluice: %v\n", err)
	}
	return code
}

// load reads the configuration.
func (a *app) load() (*config.Config, error) { return config.Load(a.cli.Config, a.env) }

// invocation is how the person who started this program can start it again.
func invocation() string {
	if _, err := exec.LookPath("sluice"); err == nil {
		return "sluice"
	}
	return os.Args[0]
}
