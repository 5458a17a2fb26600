package main

import (
	"context"
	"encoding/json"
	"reflect"

	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/registry"
)

// subject is a schema under the name that it has in the registry.
type subject struct{ name, schema string }

// subjectsOf gives the key's, where there is one, and the value's.
func subjectsOf(topic string, pair schemas.Pair) []subject {
	all := []subject{{topic + "-key", pair.Key}, {topic + "-value", pair.Value}}
	if pair.Key == "" {
		return all[1:]
	}
	return all
}

// The fates of a subject.
const (
	subjectSame         = "unchanged"
	subjectNew          = "new"
	subjectCompatible   = "compatible"
	subjectIncompatible = "incompatible"
)

// subjectVerdict is what the registry says of the schema that a subject would get.
type subjectVerdict struct {
	Subject string          `json:"subject"`
	Verdict string          `json:"verdict"`
	Reasons []string        `json:"reasons,omitempty"`
	Schema  json.RawMessage `json:"schema"`
}

// judgeSubjects asks the registry whether it would take the schemas of after.
func judgeSubjects(ctx context.Context, r *registry.Client, before map[string]string, after []subject) ([]subjectVerdict, error) {
	var all []subjectVerdict
	for _, s := range after {
		v := subjectVerdict{Subject: s.name, Verdict: subjectSame, Schema: rawSchema(s.schema)}
		old, had := before[s.name]
		if !had || !sameJSON(old, s.schema) {
			ok, reasons, err := r.Compatible(ctx, s.name, s.schema)
			if err != nil {
				return nil, err
			}
			v.Verdict, v.Reasons = fate(had, ok), reasons
		}
		all = append(all, v)
	}
	return all, nil
}

func fate(had, ok bool) string {
	switch {
	case !ok:
		return subjectIncompatible
	case had:
		return subjectCompatible
	}
	return subjectNew
}

// sameJSON compares two texts of JSON without regard to white space and the order of properties.
func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}
