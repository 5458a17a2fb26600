package main

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/control"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/sink"
)

// The keys below sink/NAME in the control topic. People write all but waiting, which a process of the sink writes.
const (
	pauseKey    = ""           // a pauseWish
	syncKey     = "/sync"      // a timeWish
	liftKey     = "/breaker"   // a timeWish
	waitingKey  = "/waiting"   // a sink.Waiting
	decisionKey = "/decision/" // with the position, kind and table: a sink.Decision
	parkedKey   = "/dlq/"      // with an id: a sink.ParkedWish, until it was obeyed
)

func sinkKey(name, key string) string { return "sink/" + name + key }

type pauseWish struct {
	Paused bool      `json:"paused"`
	Time   time.Time `json:"time"`
}

// timeWish is about what lies before a time.
type timeWish struct {
	Until time.Time `json:"until"`
}

// sinkWishes gives what people want of a sink. What cannot be read is from a later version, and not for us.
func sinkWishes(all control.Wishes, name string) (w sink.Wishes) {
	var (
		pause      pauseWish
		sync, lift timeWish
		waiting    sink.Waiting
	)
	read := func(key string, into any) bool {
		b, ok := all[sinkKey(name, key)]
		return ok && json.Unmarshal(b, into) == nil
	}
	if read(pauseKey, &pause) {
		w.Paused = pause.Paused
	}
	if read(syncKey, &sync) {
		w.Sync = sync.Until
	}
	if read(liftKey, &lift) {
		w.Lifted = lift.Until
	}
	if read(waitingKey, &waiting) {
		w.Waiting = &waiting
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		var d sink.Decision
		if strings.HasPrefix(key, sinkKey(name, decisionKey)) && json.Unmarshal(all[key], &d) == nil {
			w.Decisions = append(w.Decisions, d)
		}
		var p sink.ParkedWish
		if strings.HasPrefix(key, sinkKey(name, parkedKey)) && json.Unmarshal(all[key], &p) == nil {
			w.Parked = append(w.Parked, p)
		}
	}
	return w
}

// keyOf names a decision.
func keyOf(d *sink.Decision) string {
	return decisionKey + d.At.String() + "/" + string(d.Kind) + "/" + d.To
}

// takeBack removes a wish about parked changes that was obeyed.
func takeBack(ctx context.Context, client *kafka.Client, c *sink.Config, id string) error {
	return control.WriteAs(ctx, client, c.Source, c.Name, control.Wishes{sinkKey(c.Name, parkedKey+id): nil})
}

// postWaiting shows what a sink waits for, nil for nothing.
func postWaiting(ctx context.Context, client *kafka.Client, c *sink.Config, w *sink.Waiting) error {
	wishes := control.Wishes{sinkKey(c.Name, waitingKey): nil}
	if w != nil {
		if err := wishes.Put(sinkKey(c.Name, waitingKey), w); err != nil {
			return err
		}
	}
	return control.WriteAs(ctx, client, c.Source, c.Name, wishes)
}
