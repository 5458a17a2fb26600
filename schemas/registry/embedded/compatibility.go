package embedded

import (
	"fmt"
	"slices"

	"github.com/twmb/avro"
)

// defaultLevel is the one of a registry that nobody configured, as in Confluent's: readers with the
// new schema read what was written before.
const defaultLevel = "BACKWARD"

// rule is what a compatibility level asks for.
type rule struct {
	backward   bool // the new schema reads data of the old one
	forward    bool // the old schema reads data of the new one
	transitive bool // for every version, not only the newest
}

// ruleOf gives the rule of a level's name.
func ruleOf(level string) (rule, bool) {
	switch level {
	case "NONE":
		return rule{}, true
	case "BACKWARD":
		return rule{backward: true}, true
	case "BACKWARD_TRANSITIVE":
		return rule{backward: true, transitive: true}, true
	case "FORWARD":
		return rule{forward: true}, true
	case "FORWARD_TRANSITIVE":
		return rule{forward: true, transitive: true}, true
	case "FULL":
		return rule{backward: true, forward: true}, true
	case "FULL_TRANSITIVE":
		return rule{backward: true, forward: true, transitive: true}, true
	}
	return rule{}, false
}

// level gives the compatibility level in force for a subject.
func (s *state) level(subject string) string {
	values := s.settings[levelSetting]
	for _, name := range []string{subject, ""} {
		if v, ok := values[name]; ok {
			return v
		}
	}
	return defaultLevel
}

// conflicts says what stands between a schema and the versions before it; nothing when the level of
// the subject lets it in.
func (s *state) conflicts(subject, text string, versions []*version) ([]string, error) {
	r, _ := ruleOf(s.level(subject))
	if len(versions) > 0 && !r.transitive {
		versions = versions[len(versions)-1:]
	}
	next, err := avro.Parse(strict(text))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, v := range slices.Backward(versions) {
		old, err := v.schema.parse()
		if err != nil {
			return nil, fmt.Errorf("cannot parse version %d of the subject, delete it or set the level NONE: %w", v.number, err)
		}
		out = append(out, r.compare(v.number, old, next)...)
	}
	if len(out) > 0 {
		out = append(out, "compatibility: "+s.level(subject))
	}
	return out, nil
}

func (r rule) compare(number int, old, next *avro.Schema) []string {
	var out []string
	if r.backward {
		if err := avro.CheckCompatibility(old, next); err != nil {
			out = append(out, fmt.Sprintf("the new schema cannot read data written with version %d: %v", number, err))
		}
	}
	if r.forward {
		if err := avro.CheckCompatibility(next, old); err != nil {
			out = append(out, fmt.Sprintf("version %d cannot read data written with the new schema: %v", number, err))
		}
	}
	return out
}
