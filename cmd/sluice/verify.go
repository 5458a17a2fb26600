package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/control"
	"github.com/sluicecdc/sluice/internal/retry"
	"github.com/sluicecdc/sluice/internal/verify"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/http"
	"github.com/sluicecdc/sluice/sink/postgres"
)

type verifyCmd struct {
	Sink          string   `arg:"" optional:"" name:"sink" help:"The sink whose tables are compared; all of them when none is named."`
	Table         []string `placeholder:"TABLE" help:"Only this source table; may be repeated."`
	Repair        bool     `help:"Send missing and different rows again, remove extra ones by the delete policy, and verify again."`
	YesRemove     int64    `placeholder:"ROWS" help:"Let --repair remove up to so many rows of a table, where it would refuse."`
	Continuous    bool     `help:"Verify again and again until interrupted."`
	RowsPerSecond int      `placeholder:"ROWS" help:"Read at most so many rows a second (default: no bound; with --continuous 10000)."`
	JSON          bool     `name:"json" help:"A JSON object for each row that is drift, and one for each table."`
}

// Help is shown by "sluice verify --help".
func (verifyCmd) Help() string {
	return "Compares every row of destinations with what the source and the mapping say, by ranges of the key, while changes go on: a row is called " +
		"drift only when no change under way can explain it. Exits 0 when all is equal, 3 when drift was found. Rows that the destination has refused " +
		"(sluice dlq list) are counted apart and are no drift. The result stands in sluice.drift at the destination, from where the console and the " +
		"metrics of the running sink take it."
}

const (
	// continuousRows is the read budget of --continuous: a hundredth or less of what a server can read.
	continuousRows = 10_000
	// followed is how long a destination may stand still that should follow: heartbeats move it each second, and a sink that
	// sleeps between the times of a schedule is woken.
	followed = time.Minute
	// betweenRounds is the pause between two rounds of --continuous: small tables take no time.
	betweenRounds = 10 * time.Second
)

// Run verifies.
func (c *verifyCmd) Run(a *app) error {
	job, err := c.open(a)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	defer job.desk.client.Close()
	for {
		bad, err := job.round(a.ctx)
		switch {
		case a.ctx.Err() != nil && c.Continuous:
			return nil
		case a.ctx.Err() != nil:
			return errors.New("verify was interrupted: not all was looked at")
		case !c.Continuous && err != nil:
			return err
		case !c.Continuous && bad:
			return errBad
		case !c.Continuous:
			return nil
		case err != nil:
			job.log.Error("cannot verify, trying again", "error", err)
		}
		if retry.Wait(a.ctx, betweenRounds) != nil {
			return nil
		}
	}
}

// verifyJob is what a run of verify works with.
type verifyJob struct {
	*verifyCmd
	a     *app
	cfg   *config.Config
	desk  *desk
	log   *slog.Logger
	names []string // of sinks
}

func (c *verifyCmd) open(a *app) (*verifyJob, error) {
	if c.RowsPerSecond < 0 || c.YesRemove < 0 {
		return nil, usageError{errors.New("--rows-per-second and --yes-remove take 0 or more")}
	}
	if c.Continuous && c.RowsPerSecond == 0 {
		c.RowsPerSecond = continuousRows
	}
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	var chosen []string
	if c.Sink != "" {
		chosen = []string{c.Sink}
	}
	j := &verifyJob{verifyCmd: c, a: a, cfg: cfg, log: a.logger()}
	if j.names, err = chooseSinks(cfg, chosen); err != nil {
		return nil, err
	}
	if c.Sink == "" { // those that cannot be verified are an error when somebody asks for them
		j.names = slices.DeleteFunc(j.names, func(name string) bool { return j.blind(cfg.Sinks[name]) })
	}
	if err := j.checkTables(); err != nil {
		return nil, usageError{err}
	}
	client, err := a.openKafka(cfg)
	j.desk = &desk{cfg, client}
	return j, err
}

// blind tells whether a sink has an API for destination that cannot be asked for any row, and says so.
func (j *verifyJob) blind(s config.Sink) bool {
	if s.Type != config.TypeHTTP || slices.ContainsFunc(s.HTTP.Tables, func(t http.Table) bool { return t.Lookup != nil }) {
		return false
	}
	j.log.Warn("a sink is not verified: its destination is an API, and no table of it has a lookup", "sink", s.Name)
	return true
}

// checkTables wants every named table in a sink.
func (j *verifyJob) checkTables() error {
	for _, table := range j.Table {
		if _, _, err := change.ParseName(table); err != nil {
			return fmt.Errorf("--table: %w", err)
		}
		if !slices.ContainsFunc(j.names, func(name string) bool { return len(j.entriesOf(j.cfg.Sinks[name], []string{table})) > 0 }) {
			return fmt.Errorf("--table %s: no table of %s", table, strings.Join(j.names, ", "))
		}
	}
	return nil
}

// entriesOf gives the indexes of a sink's tables that are meant by names, all by none.
func (j *verifyJob) entriesOf(s config.Sink, names []string) (all []int) {
	for i := range s.Tables {
		same := func(name string) bool { return spelled(name) == spelled(s.Tables[i].From) }
		if len(names) == 0 || slices.ContainsFunc(names, same) {
			all = append(all, i)
		}
	}
	return all
}

// round verifies all sinks once, and tells whether drift is left.
func (j *verifyJob) round(ctx context.Context) (bad bool, err error) {
	for _, name := range j.names {
		s, e := newSinkJob(j, j.cfg.Sinks[name])
		if e == nil {
			e = s.run(ctx)
			bad = bad || s.drift() > 0
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("sink %s: %w", name, e))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return bad, err
}

// sinkJob verifies one sink.
type sinkJob struct {
	*verifyJob
	s       config.Sink
	dest    *postgres.Sink // nil where api is not
	api     *http.Sink
	entries []int // of s.Tables
	results map[int]*verify.Result
	shapes  map[int]*change.Table
}

func newSinkJob(j *verifyJob, s config.Sink) (*sinkJob, error) {
	dest, err := newDestination(s, j.log, j.desk.client, nil)
	if err != nil {
		return nil, err
	}
	k := &sinkJob{verifyJob: j, s: s, entries: j.entriesOf(s, j.Table), results: map[int]*verify.Result{}, shapes: map[int]*change.Table{}}
	k.dest, _ = dest.(*postgres.Sink)
	if k.api, _ = dest.(*http.Sink); k.api != nil {
		err = k.seeing()
	}
	return k, err
}

// seeing leaves out the tables that the API cannot be asked for, and names them. The error says that none is left.
func (k *sinkJob) seeing() error {
	k.entries = slices.DeleteFunc(k.entries, func(i int) bool {
		blind := k.s.HTTP.Tables[i].Lookup == nil
		if blind {
			k.log.Warn("a table is not verified: it has no lookup", "sink", k.s.Name, "table", k.s.Tables[i].From)
		}
		return blind
	})
	if len(k.entries) == 0 {
		return errors.New("its destination is an API, which cannot be verified without a lookup: write lookup for its tables, see docs/http.md")
	}
	return nil
}

// drift counts all rows of the sink that are not what they should be.
func (k *sinkJob) drift() (n int64) {
	for _, r := range k.results {
		n += r.Drift()
	}
	return n
}

// repairPasses bounds how often a repair begins again with what is left.
const repairPasses = 100

// run verifies, and repairs when that is asked for.
func (k *sinkJob) run(ctx context.Context) error {
	err := k.verify(ctx, k.entries, false)
	last := int64(-1)
	for pass := 0; err == nil && k.Repair && k.drift() > 0 && pass < repairPasses && k.drift() != last; pass++ {
		last = k.drift()
		var again []int
		if again, err = k.repair(ctx); err == nil && len(again) > 0 {
			err = k.verify(ctx, again, true)
		}
	}
	return err
}

// verify compares tables and keeps the results, at the destination too. What one table meets does not stop the others.
func (k *sinkJob) verify(ctx context.Context, entries []int, again bool) error {
	if again {
		k.say("verifying again\n")
	}
	v, err := verify.Open(ctx, k.options())
	if err != nil {
		return err
	}
	defer v.Close()
	var faults []error
	for _, i := range entries {
		r, err := v.Compare(ctx, func(ctx context.Context) (*verify.Table, error) { return k.describe(ctx, i) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		k.results[i] = r
		if err := k.print(r); err != nil {
			return err
		}
	}
	if err := k.save(ctx, len(faults) == 0); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func (k *sinkJob) options() verify.Options {
	keep := shownRows + keptSamples*len(verify.Kinds)
	if k.Repair {
		keep = repairedRows
	}
	o := verify.Options{
		Keep: keep, Patience: followed, Stalled: k.stalled,
		Sink: k.s.Name, Source: k.s.Source, SourceDSN: k.cfg.Source.DSN, DestinationDSN: k.s.Postgres.DSN,
		Settings: change.SessionSettings, Shift: k.shift, RowsPerSecond: k.RowsPerSecond, Found: k.row, Log: k.log.With("sink", k.s.Name),
	}
	if k.api != nil {
		o.API = k.api
	}
	return o
}

// shift asks capture's state what positions are more than LSNs of the log.
func (k *sinkJob) shift(ctx context.Context) (change.LSN, error) {
	state, err := control.ReadMap(ctx, k.desk.client, schemas.StateTopic(k.s.Source))
	if err != nil {
		return 0, err
	}
	by, bridging, err := capture.Shift(state)
	if err == nil && bridging {
		err = errors.New("capture is bridging a gap in the source's log: verify when the repair of its tables is over")
	}
	return by, err
}

// describe gives a table of the sink as it is now.
func (k *sinkJob) describe(ctx context.Context, i int) (*verify.Table, error) {
	entry := &k.s.Tables[i]
	schema, name, err := change.ParseName(entry.From)
	if err != nil {
		return nil, err
	}
	state, err := capture.Inspect(ctx, k.cfg.Source, schema, name)
	if err != nil {
		return nil, err
	}
	t := &verify.Table{From: state.Table, Keeps: entry.Deletes.Policy == sink.DeleteIgnore, Shared: k.s.Shared(i)}
	topic := state.Table
	for r := range k.cfg.Transforms {
		if rule := &k.cfg.Transforms[r]; rule.Covers(topic) {
			if t.Transform, err = rule.Compile(topic); err != nil {
				return nil, err
			}
			topic = t.Transform.Table()
			break
		}
	}
	t.Parked = func(ctx context.Context) (*verify.Lot, error) { return k.parked(ctx, t, topic) }
	if t.Mapping, err = k.s.Mapping(i, topic); err != nil {
		return nil, err
	}
	shape := topic
	if t.Mapping != nil {
		shape = t.Mapping.Table()
	}
	t.Schema, t.Name = shape.Schema, shape.Name
	if k.dest != nil {
		t.Live = k.dest.Live(shape)
	}
	k.shapes[i] = shape
	return t, nil
}
