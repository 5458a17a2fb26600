package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/sink"
)

type statusCmd struct {
	Watch    bool          `short:"w" help:"Show it again and again until interrupted."`
	Interval time.Duration `default:"1s" placeholder:"TIME" help:"How often --watch asks (default: 1s)."`
	JSON     bool          `name:"json" help:"As JSON, one object a line with --watch."`
}

// Help is shown by "sluice status --help".
func (statusCmd) Help() string {
	return "Asks the processes that serve console.listen (capture, run) and console.sink_listen (sink) of the configuration."
}

// Run asks the processes and prints what they say. It fails when nobody answers.
func (c *statusCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if c.Interval < 100*time.Millisecond {
		return usageError{fmt.Errorf("--interval %s: want at least 100ms", c.Interval)}
	}
	ask := func() overview {
		return askAll(a.ctx, map[string]string{
			"console.listen": cfg.Console.Listen, "console.sink_listen": cfg.Console.SinkListen,
		})
	}
	if c.Watch {
		return c.watch(a, ask)
	}
	o := ask()
	if err := c.print(a.out, o); err != nil {
		return err
	}
	if len(o.answered()) == 0 {
		return errors.New("no process of this configuration answers on this machine: start one with sluice run, capture or sink")
	}
	return nil
}

func (c *statusCmd) watch(a *app, ask func() overview) error {
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	for {
		o := ask()
		if a.ctx.Err() != nil {
			return nil
		}
		if !c.JSON && isTerminal(a.out) {
			fmt.Fprint(a.out, "\x1b[H\x1b[2J") // home and clear
		}
		if err := c.print(a.out, o); err != nil {
			return err
		}
		select {
		case <-a.ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (c *statusCmd) print(w io.Writer, o overview) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(o)
	}
	return o.table(w)
}

// overview is what the processes of one configuration say, by the key that names their address.
type overview struct {
	Time      time.Time         `json:"time"`
	Processes map[string]answer `json:"processes"`
}

// answer is one process's, or why there is none.
type answer struct {
	Address string         `json:"address"`
	Error   string         `json:"error,omitempty"`
	Status  *processStatus `json:"status,omitempty"`
}

// processStatus is the part of /api/status that the table shows.
type processStatus struct {
	Source  string                `json:"source,omitempty"`
	Capture *captureStatus        `json:"capture,omitempty"`
	Sinks   map[string]sinkStatus `json:"sinks,omitempty"`
}

type captureStatus struct {
	State        string   `json:"state"`
	ConfirmedLSN string   `json:"confirmed_lsn"`
	DurableLSN   string   `json:"durable_lsn"`
	LagSeconds   *float64 `json:"lag_seconds"` // null before the first commit
	Slot         struct {
		Name     string `json:"name"`
		WALBytes int64  `json:"wal_bytes"`
	} `json:"slot"`
	Tables []tableStatus        `json:"tables,omitempty"`
	Copies []capture.CopyStatus `json:"copies,omitempty"`
}

// tableStatus says what is wrong with a table, and since when it has its shape.
type tableStatus struct {
	Table    string `json:"table"`
	Version  int    `json:"version"`
	SinceLSN string `json:"since_lsn"`
	Captured bool   `json:"captured"`
	Held     bool   `json:"held"`
	Reason   string `json:"reason,omitempty"`
	Fix      string `json:"fix,omitempty"`
}

type sinkStatus struct {
	State       string        `json:"state"`
	Reason      string        `json:"reason,omitempty"`
	AppliedLSN  string        `json:"applied_lsn"`
	AppliedTime time.Time     `json:"applied_time,omitzero"`
	LagSeconds  float64       `json:"lag_seconds"`
	LateSeconds float64       `json:"late_seconds"`
	NextRun     time.Time     `json:"next_run,omitzero"`
	Waiting     *sink.Waiting `json:"waiting,omitempty"`
	Complete    bool          `json:"complete"`
	Parked      int64         `json:"parked"`

	Awaited []sink.AwaitedTable `json:"awaited,omitempty"`

	Drift []sink.Drift `json:"drift,omitempty"`
	// What others wrote to synced columns.
	ForeignWrites    int64              `json:"foreign_writes,omitempty"`
	LastForeignWrite *sink.ForeignWrite `json:"last_foreign_write,omitempty"`
}

func (o overview) answered() []answer {
	var all []answer
	for _, key := range slices.Sorted(maps.Keys(o.Processes)) {
		if p := o.Processes[key]; p.Status != nil {
			all = append(all, p)
		}
	}
	return all
}

func askAll(ctx context.Context, addresses map[string]string) overview {
	o := overview{Time: time.Now().UTC().Truncate(time.Millisecond), Processes: map[string]answer{}}
	for key, address := range addresses {
		p := answer{Address: address}
		s, err := ask(ctx, address)
		if err != nil {
			p.Error = err.Error()
		}
		p.Status = s
		o.Processes[key] = p
	}
	return o
}
