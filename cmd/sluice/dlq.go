package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicecdc/sluice/internal/control"
	"github.com/sluicecdc/sluice/internal/deadletter"
	"github.com/sluicecdc/sluice/internal/retry"
	"github.com/sluicecdc/sluice/sink"
)

type dlqCmd struct {
	List   dlqListCmd   `cmd:"" help:"Show what is parked, a line for each row."`
	Show   dlqShowCmd   `cmd:"" help:"Show the parked changes of rows in full, with what to do."`
	Replay dlqReplayCmd `cmd:"" help:"Apply parked changes in order; their rows flow again."`
	Drop   dlqDropCmd   `cmd:"" help:"Forget parked changes; their rows flow again."`
}

// Help is shown by "sluice dlq --help".
func (dlqCmd) Help() string {
	return "A row that a destination refuses is parked in Kafka with all that follows of it, and everything else goes on. " +
		"The process of the sink obeys replay and drop, from any machine, now or when it starts. A KEY is written as list shows it."
}

// lot is where a command looks at the parked changes of a sink.
type lot struct {
	*desk
	sink  string
	topic *deadletter.Topic
	all   []*deadletter.Stored
	end   int64
}

// openLot reads what a sink has parked.
func (a *app) openLot(name string) (*lot, error) {
	d, err := a.openDesk()
	if err != nil {
		return nil, err
	}
	l := &lot{desk: d, sink: name, topic: deadletter.Open(d.client, d.cfg.Source.Name, name)}
	if _, err = chooseSinks(d.cfg, []string{name}); err == nil {
		err = l.read(a.ctx)
	}
	if err != nil {
		d.client.Close()
		return nil, err
	}
	return l, nil
}

func (l *lot) read(ctx context.Context) error {
	c, err := l.topic.Read(ctx)
	if err == nil {
		l.all, l.end = c.Sorted(), c.End
	}
	return err
}

// chosen gives the changes of keys, of all for none, with what is linked to them. Keys of which nothing is parked are an error.
func (l *lot) chosen(keys []string) ([]*deadletter.Stored, error) {
	for _, key := range keys {
		if !slices.ContainsFunc(l.all, func(s *deadletter.Stored) bool { return s.Key == key }) {
			return nil, usageError{fmt.Errorf("nothing of %s is parked at sink %s: sluice dlq list %s shows the keys", key, l.sink, l.sink)}
		}
	}
	return slices.Concat(deadletter.Chosen(l.all, keys, l.end)...), nil
}

type dlqListCmd struct {
	sinkName
	JSON bool `name:"json" help:"As JSON."`
}

// Run lists.
func (c *dlqListCmd) Run(a *app) error {
	l, err := a.openLot(c.Sink)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	defer l.client.Close()
	rows := parkedRows(l.all)
	if c.JSON {
		return json.NewEncoder(a.out).Encode(rows)
	}
	return printParked(a.out, c.Sink, rows)
}

type dlqShowCmd struct {
	sinkName
	Keys []string `arg:"" name:"key" help:"Rows, as list shows them."`
	JSON bool     `name:"json" help:"As JSON."`
}

// Run shows.
func (c *dlqShowCmd) Run(a *app) error {
	l, err := a.openLot(c.Sink)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	defer l.client.Close()
	chosen, err := l.chosen(c.Keys)
	if err != nil {
		return err
	}
	shown, err := l.load(a.ctx, chosen)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	if c.JSON {
		return json.NewEncoder(a.out).Encode(shown)
	}
	return printEntries(a.out, c.Sink, shown)
}

// shownEntry is a parked change with what became of the last attempt to apply it.
type shownEntry struct {
	Change *deadletter.Entry   `json:"change"`
	Tried  *deadletter.Attempt `json:"tried,omitempty"`
}

// load reads changes whole, in the order of their positions.
func (l *lot) load(ctx context.Context, chosen []*deadletter.Stored) ([]shownEntry, error) {
	slices.SortFunc(chosen, func(a, b *deadletter.Stored) int { return int(a.Offset - b.Offset) })
	var offsets []int64
	tried := map[string]*deadletter.Attempt{}
	for _, s := range chosen {
		offsets = append(offsets, s.Offset)
		tried[s.ID] = s.Tried
	}
	entries, err := l.topic.Load(ctx, offsets)
	var out []shownEntry
	for i := range entries {
		out = append(out, shownEntry{&entries[i], tried[entries[i].ID()]})
	}
	slices.SortFunc(out, func(a, b shownEntry) int { return a.Change.Change.Position().Compare(b.Change.Change.Position()) })
	return out, err
}

// parkedKeys are the rows that a command is about.
type parkedKeys struct {
	Keys []string `arg:"" optional:"" name:"key" help:"Rows, as list shows them."`
	All  bool     `help:"All that is parked now."`
}

func (k *parkedKeys) check() error {
	if k.All == (len(k.Keys) > 0) {
		return usageError{errors.New("name the keys that are meant, or say --all")}
	}
	return nil
}

type dlqReplayCmd struct {
	sinkName
	parkedKeys
}

// Help is shown by "sluice dlq replay --help".
func (dlqReplayCmd) Help() string {
	return "Changes of a row are applied in their order, through the mapping of today, in one transaction; rows whose keys have been changed " +
		"into one another go together. What the destination still refuses stays parked, and is shown with its new error."
}

// Run has changes applied.
func (c *dlqReplayCmd) Run(a *app) error {
	return a.settleParked(c.Sink, &c.parkedKeys, sink.ParkedReplay, nil)
}

type dlqDropCmd struct {
	sinkName
	parkedKeys
	Yes bool `short:"y" help:"Do not ask."`
}

// Help is shown by "sluice dlq drop --help".
func (dlqDropCmd) Help() string {
	return "The rows of the destination stay older than the source's until they change again at the source, or are repaired: " +
		"sluice verify SINK --repair, or sluice snapshot TABLE --where."
}

// Run has changes forgotten.
func (c *dlqDropCmd) Run(a *app) error {
	return a.settleParked(c.Sink, &c.parkedKeys, sink.ParkedDrop, func(chosen []*deadletter.Stored) (bool, error) {
		if err := printParked(a.out, c.Sink, parkedRows(chosen)); err != nil || c.Yes {
			return c.Yes, err
		}
		return a.confirm(fmt.Sprintf("Forget these %d changes? The destination will not have them.", len(chosen)))
	})
}

// settleParked places a wish, unless ask says no, and tells what became of it.
func (a *app) settleParked(name string, keys *parkedKeys, verb sink.ParkedVerb, ask func([]*deadletter.Stored) (bool, error)) error {
	if err := keys.check(); err != nil {
		return err
	}
	l, err := a.openLot(name)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	defer l.client.Close()
	chosen, err := l.chosen(keys.Keys)
	if err != nil {
		return err
	}
	if len(chosen) == 0 {
		fmt.Fprintf(a.out, "nothing is parked at sink %s\n", name)
		return nil
	}
	if ask != nil {
		if yes, err := ask(chosen); err != nil || !yes {
			return err
		}
	}
	w := sink.ParkedWish{ID: time.Now().UTC().Format("20060102-150405.000"), Verb: verb, Keys: keys.Keys, Before: l.end}
	obeyed, err := l.wish(a.ctx, &w)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	if !obeyed {
		fmt.Fprintf(a.out, "sink %s: the wish to %s %d changes is in Kafka; the sink obeys it when it runs\n", name, verb, len(chosen))
		return nil
	}
	return a.tellParked(l, chosen, verb)
}

// obeyTime is how long a command waits for the sink to obey.
const obeyTime = 30 * time.Second

// wish places a wish and tells whether it was obeyed in time.
func (l *lot) wish(ctx context.Context, w *sink.ParkedWish) (obeyed bool, err error) {
	key := sinkKey(l.sink, parkedKey+w.ID)
	wishes := control.Wishes{}
	if err := wishes.Put(key, w); err != nil {
		return false, err
	}
	if err := l.write(ctx, wishes); err != nil {
		return false, err
	}
	for late := time.Now().Add(obeyTime); time.Now().Before(late); {
		all, err := control.Read(ctx, l.client, l.cfg.Source.Name)
		if err != nil {
			return false, err
		}
		if _, waits := all[key]; !waits {
			return true, nil
		}
		if err := retry.Wait(ctx, obeyTime/100); err != nil {
			return false, err
		}
	}
	return false, nil
}

// tellParked says what became of changes.
func (a *app) tellParked(l *lot, chosen []*deadletter.Stored, verb sink.ParkedVerb) error {
	if err := l.read(a.ctx); err != nil {
		return unlessStopped(a.ctx, err)
	}
	left := slices.DeleteFunc(slices.Clone(l.all), func(s *deadletter.Stored) bool {
		return !slices.ContainsFunc(chosen, func(c *deadletter.Stored) bool { return c.ID == s.ID })
	})
	done := len(chosen) - len(left)
	if verb == sink.ParkedDrop {
		fmt.Fprintf(a.out, "sink %s: %d changes are dropped. Rows of the destination are older than the source's until they change again, or sluice verify %s --repair\n", l.sink, done, l.sink)
		return nil
	}
	fmt.Fprintf(a.out, "sink %s: %d changes are applied\n", l.sink, done)
	if len(left) == 0 {
		return nil
	}
	if err := printParked(a.out, l.sink, parkedRows(left)); err != nil {
		return err
	}
	return fmt.Errorf("%d changes stay parked: the destination refuses them still", len(left))
}
