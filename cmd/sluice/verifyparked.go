package main

import (
	"context"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/deadletter"
	"github.com/sluicecdc/sluice/internal/verify"
)

// parked gives the rows of a table of which changes are parked at the sink, which keeps them as their topic has them.
func (k *sinkJob) parked(ctx context.Context, t *verify.Table, topic *change.Table) (*verify.Lot, error) {
	all, err := deadletter.Open(k.desk.client, k.s.Source, k.s.Name).Read(ctx)
	if err != nil {
		return nil, err
	}
	lot := &verify.Lot{}
	for _, i := range topic.Key {
		if t.Transform != nil {
			i = t.Transform.Origin(i).Column
		}
		lot.Columns = append(lot.Columns, i)
	}
	for _, s := range all.Entries {
		if s.Table != topic.QualifiedName() {
			continue
		}
		if len(topic.Key) == 0 {
			countParked(lot, s.Op)
			continue
		}
		for _, key := range []string{s.Key, s.Linked} {
			if values := keyOfTopic(topic, s.Shape, key); values != nil {
				lot.Keys = append(lot.Keys, values)
			}
		}
	}
	return lot, nil
}

// countParked adds a change of a table without key.
func countParked(lot *verify.Lot, op string) {
	if op != change.Delete.String() {
		lot.Made++
	}
	if op == change.Update.String() || op == change.Delete.String() {
		lot.Taken++
	}
}

// keyOfTopic gives the values of a parked key, which is of an earlier version of the table, in the order of the
// topic's key; nil when the key was another.
func keyOfTopic(topic, shape *change.Table, key string) []string {
	values := deadletter.KeyValues(shape, key)
	if len(values) != len(topic.Key) {
		return nil
	}
	out := make([]string, len(values))
	for n, i := range topic.Key {
		at := slices.IndexFunc(shape.Key, func(k int) bool { return shape.Columns[k].Name == topic.Columns[i].Name })
		if at < 0 {
			return nil
		}
		out[n] = values[at]
	}
	return out
}
