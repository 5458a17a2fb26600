package main

import (
	"encoding/json"
	"reflect"

	"github.com/sluicecdc/sluice/schemas"
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

// sameJSON compares two texts of JSON without regard to white space and the order of properties.
func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}
