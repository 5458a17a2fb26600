package embedded

import (
	"net/http"
	"strings"
)

// The modes: what may be written to a subject.
const (
	readWrite = "READWRITE"
	readOnly  = "READONLY"
	importing = "IMPORT" // writers bring the ids of another registry
	override  = "READONLY_OVERRIDE"
)

// mode gives the mode in force for a subject. A global READONLY_OVERRIDE goes before the subjects' own.
func (s *state) mode(subject string) string {
	values := s.settings[modeSetting]
	if values[""] == override {
		return readOnly
	}
	for _, name := range []string{subject, ""} {
		if v, ok := values[name]; ok {
			return v
		}
	}
	return readWrite
}

// defaultSetting is what holds where nothing is set.
func defaultSetting(kind string) string {
	if kind == levelSetting {
		return defaultLevel
	}
	return readWrite
}

// settingAnswer writes a setting as the API does: the level has two names.
func settingAnswer(kind, value string) any {
	if kind == levelSetting {
		return map[string]string{"compatibilityLevel": value}
	}
	return map[string]string{"mode": value}
}

// settingRequest is the body of a PUT.
type settingRequest struct {
	Compatibility string `json:"compatibility"`
	Mode          string `json:"mode"`
}

func (q settingRequest) value(kind string) (string, error) {
	if kind == levelSetting {
		v := strings.ToUpper(q.Compatibility)
		if _, ok := ruleOf(v); !ok {
			return "", faultf(42203, "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive")
		}
		return v, nil
	}
	switch v := strings.ToUpper(q.Mode); v {
	case readWrite, readOnly, override, importing:
		return v, nil
	}
	return "", faultf(42204, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, and IMPORT")
}

// target gives the subject that a request is about, empty for all of them.
func target(q *http.Request) (string, error) {
	if q.PathValue("subject") == "" {
		return "", nil
	}
	return subjectOf(q)
}

func (r *Registry) getSetting(kind string) endpoint {
	return func(q *http.Request) (any, error) {
		subject, err := target(q)
		if err != nil {
			return nil, err
		}
		r.mu.RLock()
		defer r.mu.RUnlock()
		v, set := r.state.settings[kind][subject]
		switch {
		case set:
			return settingAnswer(kind, v), nil
		case subject == "":
			return settingAnswer(kind, defaultSetting(kind)), nil
		case flag(q, "defaultToGlobal"):
			return settingAnswer(kind, r.state.inForce(kind, subject)), nil
		}
		return nil, errNotSet(kind, subject)
	}
}

func (s *state) inForce(kind, subject string) string {
	if kind == levelSetting {
		return s.level(subject)
	}
	return s.mode(subject)
}

func errNotSet(kind, subject string) error {
	if kind == levelSetting {
		return faultf(40408, "Subject '%s' does not have subject-level compatibility configured", subject)
	}
	return faultf(40409, "Subject '%s' does not have subject-level mode configured", subject)
}

func (r *Registry) putSetting(kind string) endpoint {
	return func(q *http.Request) (any, error) {
		subject, err := target(q)
		if err != nil {
			return nil, err
		}
		var body settingRequest
		if err := readJSON(q, &body); err != nil {
			return nil, err
		}
		v, err := body.value(kind)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err := r.state.mayImport(subject, v, flag(q, "force")); err != nil {
			return nil, err
		}
		answer := map[string]string{kind: v} // here the level's name is "compatibility"
		return answer, r.commit(entry{Setting: &setting{Subject: subject, Kind: kind, Value: v}})
	}
}

// mayImport refuses mode IMPORT where ids are given already: the imported ones could mean others.
func (s *state) mayImport(subject, value string, force bool) error {
	used := len(s.subjects) > 0
	if subject != "" {
		used = len(s.live(subject)) > 0
	}
	if value == importing && used && !force {
		return errNotPermitted("Cannot import since found existing subjects")
	}
	return nil
}

func (r *Registry) deleteSetting(kind string) endpoint {
	return func(q *http.Request) (any, error) {
		subject, err := target(q)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		old, set := r.state.settings[kind][subject]
		switch {
		case !set && subject == "":
			return settingAnswer(kind, defaultSetting(kind)), nil
		case !set:
			return nil, errNotSet(kind, subject)
		}
		return settingAnswer(kind, old), r.commit(entry{Setting: &setting{Subject: subject, Kind: kind}})
	}
}
