package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/registry"
)

// settlement is what capture would register for a table, found as it would find it.
type settlement struct {
	table   *change.Table // with the names of its fields
	pair    schemas.Pair
	refused map[string][]string // why, by the subject that the registry does not take; nil when it takes all
}

// maxEvasions bounds the tries as capture does.
const maxEvasions = 16

// settle asks the registry for a schema that it would take. What it is asked changes nothing there.
func settle(ctx context.Context, client *registry.Client, topic string, t *change.Table) (*settlement, error) {
	_, latest, err := client.Latest(ctx, topic+"-value")
	if errors.Is(err, registry.ErrNotFound) {
		return settleAs(ctx, client, topic, t)
	}
	if err != nil {
		return nil, err
	}
	if t, err = schemas.Adopt(t, latest); err != nil {
		return nil, err
	}
	first, err := settleAs(ctx, client, topic, t)
	s := first
	for n := 0; err == nil && s.refused != nil && n < maxEvasions; n++ {
		if t, err = schemas.Evade(t, latest); t == nil || err != nil {
			return first, err
		}
		s, err = settleAs(ctx, client, topic, t)
	}
	return s, err
}

func settleAs(ctx context.Context, client *registry.Client, topic string, t *change.Table) (*settlement, error) {
	s := &settlement{table: t}
	var err error
	if s.pair, err = schemas.ForTable(topic, t); err != nil {
		return nil, err
	}
	for _, sub := range subjectsOf(topic, s.pair) {
		ok, reasons, err := client.Compatible(ctx, sub.name, sub.schema)
		if err != nil {
			return nil, fmt.Errorf("subject %s: %w", sub.name, err)
		}
		if !ok {
			if s.refused == nil {
				s.refused = map[string][]string{}
			}
			s.refused[sub.name] = reasons
		}
	}
	return s, nil
}

// verdicts compares what is registered then with what is before.
func (s *settlement) verdicts(before map[string]string, after []subject) []subjectVerdict {
	all := []subjectVerdict{}
	for _, sub := range after {
		reasons, refused := s.refused[sub.name]
		v := subjectVerdict{Subject: sub.name, Verdict: subjectCompatible, Reasons: reasons, Schema: rawSchema(sub.schema)}
		old, had := before[sub.name]
		switch {
		case refused:
			v.Verdict = subjectIncompatible
		case !had:
			v.Verdict = subjectNew
		case sameJSON(old, sub.schema):
			v.Verdict = subjectSame
		}
		all = append(all, v)
	}
	return all
}
