package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"time"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/registry"
	"github.com/sluicecdc/sluice/sink"
)

type checkCmd struct {
	JSON bool `name:"json" help:"As JSON."`
}

// Help is shown by "sluice check --help".
func (checkCmd) Help() string {
	return "Changes nothing. Exits 0 when all is well, 3 when a fault was found; warnings do not count."
}

// The verdicts on one finding.
const (
	verdictOK      = "ok"
	verdictWarning = "warning"
	verdictFault   = "fault"
)

// finding is one thing that was looked at.
type finding struct {
	Part    string `json:"part"`
	Verdict string `json:"verdict"`
	What    string `json:"what"`
	Fault   string `json:"fault,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

// checkTime bounds the look at all parts; one that does not answer takes it whole.
const checkTime = 10 * time.Second

// Run looks at every part and prints what it found.
func (c *checkCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.ctx, checkTime)
	defer cancel()
	var all []finding
	for found := range lookAt(ctx, checks(cfg)) {
		all = append(all, found...)
		if !c.JSON {
			a.printFindings(found)
		}
	}
	if c.JSON {
		if err := json.NewEncoder(a.out).Encode(all); err != nil {
			return fmt.Errorf("cannot print: %w", err)
		}
	}
	for _, f := range all {
		if f.Verdict == verdictFault {
			return errBad
		}
	}
	return nil
}

// checks gives one look for each part, in the order of the path.
func checks(cfg *config.Config) []func(context.Context) []finding {
	all := []func(context.Context) []finding{
		func(ctx context.Context) []finding { return checkSource(ctx, cfg) },
		func(ctx context.Context) []finding { return checkKafka(ctx, cfg) },
		func(ctx context.Context) []finding { return checkRegistry(ctx, cfg) },
	}
	all = append(all, func(context.Context) []finding { return checkEncryption(cfg) })
	all = append(all, func(ctx context.Context) []finding { return checkMappings(ctx, cfg) })
	for _, name := range sinkNames(cfg) {
		all = append(all, func(ctx context.Context) []finding { return checkSink(ctx, cfg, cfg.Sinks[name]) })
	}
	return all
}

// lookAt looks at all parts at once and gives what was found in the order of the path.
func lookAt(ctx context.Context, looks []func(context.Context) []finding) iter.Seq[[]finding] {
	results := make([]chan []finding, len(looks))
	for i, look := range looks {
		results[i] = make(chan []finding, 1)
		go func() { results[i] <- look(ctx) }()
	}
	return func(yield func([]finding) bool) {
		for _, r := range results {
			if !yield(<-r) {
				return
			}
		}
	}
}

func checkSource(ctx context.Context, cfg *config.Config) (all []finding) {
	for _, f := range capture.Check(ctx, cfg.Source) {
		all = append(all, finding{"source", verdictOf(f), f.What, "", f.Fix})
	}
	return all
}

func verdictOf(f capture.Finding) string {
	switch {
	case f.OK:
		return verdictOK
	case f.Warning:
		return verdictWarning
	default:
		return verdictFault
	}
}

func checkKafka(ctx context.Context, cfg *config.Config) []finding {
	f := finding{Part: "kafka", Verdict: verdictOK, What: "the cluster answers"}
	if cfg.Kafka.Brokers.Embedded() && !listens(ctx, cfg.Kafka.EmbeddedListen) {
		f.What = "the embedded broker starts with capture, on " + cfg.Kafka.EmbeddedListen
		return []finding{f}
	}
	client, err := kafka.Open(ctx, cfg.Kafka, slog.New(slog.DiscardHandler))
	if err != nil {
		return []finding{{f.Part, verdictFault, "the cluster does not answer", err.Error(), "correct the section kafka, or start the brokers"}}
	}
	defer client.Close()
	return []finding{f}
}

func checkRegistry(ctx context.Context, cfg *config.Config) []finding {
	f := finding{Part: "registry", Verdict: verdictOK, What: "the schema registry answers"}
	if cfg.Schemas.IsEmbedded() && !listens(ctx, cfg.Schemas.EmbeddedListen) {
		f.What = "the embedded registry starts with capture, on " + cfg.Schemas.EmbeddedListen
		return []finding{f}
	}
	client, err := registry.New(cfg.Schemas, slog.New(slog.DiscardHandler))
	if err == nil {
		defer client.Close()
		err = client.Ping(ctx)
	}
	if err != nil {
		return []finding{{f.Part, verdictFault, "the registry does not answer", err.Error(), "correct the section schemas, or start the registry"}}
	}
	return []finding{f}
}

func checkSink(ctx context.Context, cfg *config.Config, s config.Sink) (all []finding) {
	part := "sink " + s.Name
	dest, err := newDestination(s, slog.New(slog.DiscardHandler), nil, nil)
	if err != nil {
		return []finding{{part, verdictFault, "the configuration", err.Error(), ""}}
	}
	for _, f := range dest.Check(ctx) {
		all = append(all, findingOf(part, f))
	}
	return append(all, checkShapes(ctx, cfg, &s, dest)...)
}

func findingOf(part string, f sink.Finding) finding {
	verdict := verdictOK
	switch {
	case f.Warning:
		verdict = verdictWarning
	case f.Fault != "":
		verdict = verdictFault
	}
	return finding{part, verdict, f.What, f.Fault, f.Fix}
}

// listens tells whether somebody takes connections at an address of this machine.
func listens(ctx context.Context, address string) bool {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", reachable(address))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
