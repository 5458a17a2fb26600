package embedded

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// entry is one change of the registry's state, as it stands in the log. Exactly one member is set.
type entry struct {
	Register *registration `json:"register,omitempty"`
	Delete   *deletion     `json:"delete,omitempty"`
	Setting  *setting      `json:"setting,omitempty"`
}

// registration binds a version of a subject to a schema id. Schema is empty where the id is known.
type registration struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
	ID      int    `json:"id"`
	Schema  string `json:"schema,omitempty"`
}

// deletion hides versions, or removes hidden ones for good.
type deletion struct {
	Subject   string `json:"subject"`
	Versions  []int  `json:"versions"`
	Permanent bool   `json:"permanent,omitempty"`
}

// setting changes the compatibility level or the mode of a subject, or of all for subject "". The
// empty value takes the subject's own setting away.
type setting struct {
	Subject string `json:"subject,omitempty"`
	Kind    string `json:"kind"`
	Value   string `json:"value,omitempty"`
}

// The kinds of setting.
const (
	levelSetting = "compatibility"
	modeSetting  = "mode"
)

// version is one version of a subject.
type version struct {
	number  int
	schema  *schema
	deleted bool // hidden, and still there for readers that hold its id
}

// state is what the registry knows: the sum of its log.
type state struct {
	schemas    map[int]*schema
	byIdentity map[string]*schema
	lastID     int
	subjects   map[string][]*version // by number
	settings   map[string]map[string]string
}

func newState() *state {
	return &state{
		schemas:    map[int]*schema{},
		byIdentity: map[string]*schema{},
		subjects:   map[string][]*version{},
		settings:   map[string]map[string]string{levelSetting: {}, modeSetting: {}},
	}
}

// apply makes e true. It fails on an entry that cannot follow those before it, which only a damaged
// log holds.
func (s *state) apply(e entry) error {
	switch {
	case e.Register != nil:
		return s.applyRegistration(e.Register)
	case e.Delete != nil:
		return s.applyDeletion(e.Delete)
	case e.Setting != nil:
		return s.applySetting(e.Setting)
	}
	return fmt.Errorf("an entry of no known kind")
}

func (s *state) applyRegistration(r *registration) error {
	sch, known := s.schemas[r.ID]
	if !known {
		if r.Schema == "" || r.ID < 1 {
			return fmt.Errorf("subject %q names schema id %d, which is not known", r.Subject, r.ID)
		}
		sch = newSchema(r.ID, r.Schema)
		s.schemas[r.ID] = sch
		s.byIdentity[sch.identity] = sch
	}
	if s.find(r.Subject, r.Version) != nil || r.Version < 1 {
		return fmt.Errorf("subject %q has version %d already", r.Subject, r.Version)
	}
	s.lastID = max(s.lastID, r.ID)
	vs := append(s.subjects[r.Subject], &version{number: r.Version, schema: sch})
	slices.SortFunc(vs, func(a, b *version) int { return cmp.Compare(a.number, b.number) })
	s.subjects[r.Subject] = vs
	return nil
}

func (s *state) applyDeletion(d *deletion) error {
	for _, n := range d.Versions {
		v := s.find(d.Subject, n)
		if v == nil {
			return fmt.Errorf("subject %q has no version %d to delete", d.Subject, n)
		}
		v.deleted = true
		if d.Permanent {
			s.remove(d.Subject, v)
		}
	}
	if len(s.live(d.Subject)) == 0 {
		delete(s.settings[levelSetting], d.Subject)
		delete(s.settings[modeSetting], d.Subject)
	}
	return nil
}

// remove forgets a version. Its schema stays known, so that the same text gets the same id again and
// the id never means anything else.
func (s *state) remove(subject string, v *version) {
	vs := slices.DeleteFunc(s.subjects[subject], func(o *version) bool { return o == v })
	s.subjects[subject] = vs
	if len(vs) == 0 {
		delete(s.subjects, subject)
	}
}

func (s *state) applySetting(e *setting) error {
	values, ok := s.settings[e.Kind]
	if !ok {
		return fmt.Errorf("setting of unknown kind %q", e.Kind)
	}
	if e.Value == "" {
		delete(values, e.Subject)
	} else {
		values[e.Subject] = e.Value
	}
	return nil
}

// find gives a version, deleted ones included, or nil.
func (s *state) find(subject string, number int) *version {
	for _, v := range s.subjects[subject] {
		if v.number == number {
			return v
		}
	}
	return nil
}

// live gives a subject's versions that are not deleted, oldest first.
func (s *state) live(subject string) []*version {
	return filter(s.subjects[subject], func(v *version) bool { return !v.deleted })
}

// holding gives the newest of versions that has the schema, or nil.
func holding(versions []*version, sch *schema) *version {
	for _, v := range slices.Backward(versions) {
		if v.schema == sch {
			return v
		}
	}
	return nil
}

// nextVersion numbers a new version of a subject.
func (s *state) nextVersion(subject string) int {
	if vs := s.subjects[subject]; len(vs) > 0 {
		return vs[len(vs)-1].number + 1
	}
	return 1
}

// names gives the subjects in alphabetical order.
func (s *state) names() []string { return slices.Sorted(maps.Keys(s.subjects)) }

func filter(vs []*version, keep func(*version) bool) []*version {
	var out []*version
	for _, v := range vs {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}
