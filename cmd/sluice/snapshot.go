package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/control"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/sink"
)

// copyRequested is the state of a copy that capture has not taken up.
const copyRequested = "requested"

// snapshotPrefix begins the keys of wishes about copies.
const snapshotPrefix = "snapshot/"

type snapshotCmd struct {
	Take   snapshotTakeCmd   `cmd:"" default:"withargs" help:"Copy tables again, or some of their rows."`
	List   snapshotListCmd   `cmd:"" help:"Show the copies of tables, and how far they are."`
	Pause  snapshotPauseCmd  `cmd:"" help:"Pause copies: those named by id or table, or all."`
	Resume snapshotResumeCmd `cmd:"" help:"Let paused copies go on."`
	Cancel snapshotCancelCmd `cmd:"" help:"End copies; what was copied stays."`
	Limit  snapshotLimitCmd  `cmd:"" help:"Bound the rows per second of copies; 0 lifts the bound."`
}

// Help is shown by "sluice snapshot --help".
func (snapshotCmd) Help() string {
	return "The wishes go to Kafka, from any machine; the capture process obeys them, now or when it starts. " +
		"Rows of tables are copied while the stream goes on, as records with op r."
}

type snapshotTakeCmd struct {
	Tables []string `arg:"" name:"table" help:"Tables of source.tables."`
	Where  string   `placeholder:"SQL" help:"Only rows that fulfil this predicate over the table's columns."`
	Sink   string   `placeholder:"NAME" help:"Only this sink is meant; other readers may pass over the rows."`
}

// Run places the wishes.
func (c *snapshotTakeCmd) Run(a *app) error {
	desk, err := a.openDesk()
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	defer desk.client.Close()
	wishes := control.Wishes{}
	now := time.Now().UTC().Format("20060102-150405")
	for _, name := range c.Tables {
		r := capture.CopyRequest{ID: now + "/" + name, Table: name, Where: c.Where, Sink: c.Sink, Wanted: capture.WantRun}
		if err := desk.check(&r); err != nil {
			return usageError{err}
		}
		if err := wishes.Put(snapshotPrefix+r.ID, &r); err != nil {
			return err
		}
	}
	if err := desk.write(a.ctx, wishes); err != nil {
		return unlessStopped(a.ctx, err)
	}
	for _, key := range slices.Sorted(maps.Keys(wishes)) {
		fmt.Fprintf(a.out, "placed %s: capture takes it up, now or when it starts; sluice snapshot list shows how far it is\n", strings.TrimPrefix(key, snapshotPrefix))
	}
	return nil
}

type snapshotListCmd struct {
	JSON bool `name:"json" help:"As JSON."`
}

// Run shows the copies.
func (c *snapshotListCmd) Run(a *app) error {
	desk, err := a.openDesk()
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	defer desk.client.Close()
	all, err := desk.copies(a.ctx)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	if c.JSON {
		return json.NewEncoder(a.out).Encode(all)
	}
	return printCopies(a.out, all)
}

// copyNames are the copies that a command is about.
type copyNames struct {
	Names []string `arg:"" optional:"" name:"copy" help:"Ids, or tables; all that are under way when none is named."`
}

type snapshotPauseCmd struct{ copyNames }

// Run pauses.
func (c *snapshotPauseCmd) Run(a *app) error {
	return a.wishFor(c.Names, func(r *capture.CopyRequest) { r.Wanted = capture.WantPause })
}

type snapshotResumeCmd struct{ copyNames }

// Run resumes.
func (c *snapshotResumeCmd) Run(a *app) error {
	return a.wishFor(c.Names, func(r *capture.CopyRequest) { r.Wanted = capture.WantRun })
}

type snapshotCancelCmd struct{ copyNames }

// Run cancels.
func (c *snapshotCancelCmd) Run(a *app) error {
	return a.wishFor(c.Names, func(r *capture.CopyRequest) { r.Wanted = capture.WantCancel })
}

type snapshotLimitCmd struct {
	Rows int `arg:"" help:"Rows per second; 0 for what the configuration says."`
	copyNames
}

// Run bounds the rate.
func (c *snapshotLimitCmd) Run(a *app) error {
	if c.Rows < 0 {
		return usageError{fmt.Errorf("%d rows per second: want 0 or more", c.Rows)}
	}
	return a.wishFor(c.Names, func(r *capture.CopyRequest) { r.MaxRowsPerSecond = c.Rows })
}

// wishFor changes the wishes about copies.
func (a *app) wishFor(names []string, change func(*capture.CopyRequest)) error {
	desk, err := a.openDesk()
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	defer desk.client.Close()
	all, err := desk.copies(a.ctx)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	chosen, err := chooseCopies(all, names)
	if err != nil {
		return usageError{err}
	}
	requests, err := desk.requests(a.ctx)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	wishes := control.Wishes{}
	for _, s := range chosen {
		r, known := requests[s.ID]
		if !known {
			r = capture.CopyRequest{ID: s.ID, Wanted: capture.WantRun}
		}
		change(&r)
		if err := wishes.Put(snapshotPrefix+r.ID, &r); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "asked of %s: %s\n", s.ID, wanted(&r))
	}
	if len(wishes) == 0 {
		fmt.Fprintln(a.out, "no copy is under way")
		return nil
	}
	return unlessStopped(a.ctx, desk.write(a.ctx, wishes))
}

func wanted(r *capture.CopyRequest) string {
	if r.MaxRowsPerSecond > 0 {
		return fmt.Sprintf("%s, at most %d rows per second", r.Wanted, r.MaxRowsPerSecond)
	}
	return r.Wanted
}

// chooseCopies gives the copies under way that are named by id or table, all of them by none.
func chooseCopies(all []capture.CopyStatus, names []string) (chosen []capture.CopyStatus, err error) {
	var active []string
	found := map[string]bool{}
	for _, s := range all {
		if s.Ended != nil {
			continue
		}
		active = append(active, s.ID)
		if len(names) == 0 || slices.Contains(names, s.ID) || slices.Contains(names, s.Table) {
			chosen = append(chosen, s)
			found[s.ID], found[s.Table] = true, true
		}
	}
	for _, name := range names {
		if !found[name] {
			return nil, fmt.Errorf("no copy of %s is under way; under way are: %s", name, strings.Join(active, ", "))
		}
	}
	return chosen, nil
}

// desk is where wishes are placed and copies are looked up.
type desk struct {
	cfg    *config.Config
	client *kafka.Client
}

func (a *app) openDesk() (*desk, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	client, err := a.openKafka(cfg)
	return &desk{cfg, client}, err
}

// check refuses wishes that capture could not obey.
func (d *desk) check(r *capture.CopyRequest) error {
	schema, name, err := change.ParseName(r.Table)
	if err != nil {
		return err
	}
	covered := slices.ContainsFunc(d.cfg.Source.Tables, func(text string) bool {
		p, err := change.ParsePattern(text)
		return err == nil && p.Match(schema, name)
	})
	if !covered {
		return fmt.Errorf("%s is not in source.tables: it has %s", r.Table, strings.Join(d.cfg.Source.Tables, ", "))
	}
	if r.Sink == "" {
		return nil
	}
	s, ok := d.cfg.Sinks[r.Sink]
	if !ok {
		return fmt.Errorf("there is no sink %q in the configuration: it has %s", r.Sink, strings.Join(sinkNames(d.cfg), ", "))
	}
	if !slices.ContainsFunc(s.Tables, func(t sink.Table) bool {
		s, n, err := change.ParseName(t.From)
		return err == nil && s == schema && n == name
	}) {
		return fmt.Errorf("sink %s has no table %s", r.Sink, r.Table)
	}
	return nil
}

func (d *desk) write(ctx context.Context, wishes control.Wishes) error {
	return control.Write(ctx, d.client, d.cfg.Source.Name, wishes)
}

func (d *desk) requests(ctx context.Context) (map[string]capture.CopyRequest, error) {
	wishes, err := control.Read(ctx, d.client, d.cfg.Source.Name)
	if err != nil {
		return nil, err
	}
	out := map[string]capture.CopyRequest{}
	for _, r := range copyRequests(wishes) {
		out[r.ID] = r
	}
	return out, nil
}

// copyRequests gives the wishes about copies. What cannot be read, or makes no sense, is from a later version, and not for us.
func copyRequests(wishes control.Wishes) (out []capture.CopyRequest) {
	for _, key := range slices.Sorted(maps.Keys(wishes)) {
		var r capture.CopyRequest
		if strings.HasPrefix(key, snapshotPrefix) && json.Unmarshal(wishes[key], &r) == nil && r.MaxRowsPerSecond >= 0 {
			out = append(out, r)
		}
	}
	return out
}

// copies gives the copies that capture has taken up, and those that are wished for.
func (d *desk) copies(ctx context.Context) ([]capture.CopyStatus, error) {
	state, err := control.ReadMap(ctx, d.client, schemas.StateTopic(d.cfg.Source.Name))
	if err != nil {
		return nil, err
	}
	requests, err := d.requests(ctx)
	if err != nil {
		return nil, err
	}
	var all []capture.CopyStatus
	for _, key := range slices.Sorted(maps.Keys(state)) {
		var s capture.CopyStatus
		if strings.HasPrefix(key, "copy/") && !strings.HasSuffix(key, "/plan") && json.Unmarshal(state[key], &s) == nil {
			all = append(all, s)
			delete(requests, s.ID)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(requests)) {
		r := requests[id]
		all = append(all, capture.CopyStatus{ID: id, Table: r.Table, Kind: capture.CopyAsked, State: copyRequested, Where: r.Where, Sink: r.Sink})
	}
	return all, nil
}
