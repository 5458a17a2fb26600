package embedded

import (
	"net/http"
	"slices"
	"strings"
)

// versionAnswer is a version as the API shows it.
type versionAnswer struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
	ID      int    `json:"id"`
	Schema  string `json:"schema"`
}

func answerOf(subject string, v *version) versionAnswer {
	return versionAnswer{Subject: subject, Version: v.number, ID: v.schema.id, Schema: v.schema.text}
}

// visible gives a subject's versions as the query's deleted and deletedOnly ask for them.
func (s *state) visible(r *http.Request, subject string) []*version {
	switch {
	case flag(r, "deletedOnly"):
		return filter(s.subjects[subject], func(v *version) bool { return v.deleted })
	case flag(r, "deleted"):
		return s.subjects[subject]
	}
	return s.live(subject)
}

func (r *Registry) listSubjects(q *http.Request) (any, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := []string{}
	for _, name := range r.state.matching(q) {
		if len(r.state.visible(q, name)) > 0 {
			out = append(out, name)
		}
	}
	return page(q, out), nil
}

// matching gives the subjects with the query's prefix. ":*:" is every context's subjects, and there
// is one context.
func (s *state) matching(q *http.Request) []string {
	prefix := strings.TrimPrefix(q.URL.Query().Get("subjectPrefix"), ":*:")
	return slices.DeleteFunc(s.names(), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

func (r *Registry) listVersions(q *http.Request) (any, error) {
	subject, err := subjectOf(q)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	versions := r.state.visible(q, subject)
	if len(versions) == 0 {
		return nil, errSubject(subject)
	}
	return page(q, numbers(versions)), nil
}

func numbers(versions []*version) []int {
	out := []int{}
	for _, v := range versions {
		out = append(out, v.number)
	}
	return out
}

func (r *Registry) getVersion(q *http.Request) (any, error) {
	subject, err := subjectOf(q)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	v, err := r.state.resolve(q, subject)
	if err != nil {
		return nil, err
	}
	return answerOf(subject, v), nil
}

// resolve gives the version that the path names, deleted ones only when the query asks for them.
func (s *state) resolve(q *http.Request, subject string) (*version, error) {
	n, err := versionOf(q)
	if err != nil {
		return nil, err
	}
	versions := s.live(subject)
	if flag(q, "deleted") {
		versions = s.subjects[subject]
	}
	switch {
	case len(versions) == 0:
		return nil, errSubject(subject)
	case n == latest:
		return versions[len(versions)-1], nil
	}
	if i := slices.IndexFunc(versions, func(v *version) bool { return v.number == n }); i >= 0 {
		return versions[i], nil
	}
	return nil, errVersion(n)
}

func (r *Registry) getVersionSchema(q *http.Request) (any, error) {
	v, err := r.getVersion(q)
	if err != nil {
		return nil, err
	}
	return rawText(v.(versionAnswer).Schema), nil
}

// referencedBy is always empty: references are refused when they come in.
func (r *Registry) referencedBy(q *http.Request) (any, error) {
	if _, err := r.getVersion(q); err != nil {
		return nil, err
	}
	return []int{}, nil
}

// lookup tells under which version a subject has a schema.
func (r *Registry) lookup(q *http.Request) (any, error) {
	subject, err := subjectOf(q)
	if err != nil {
		return nil, err
	}
	body, err := readSchema(q)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	versions := r.state.visible(q, subject)
	if len(versions) == 0 {
		return nil, errSubject(subject)
	}
	if sch := r.state.byIdentity[identify(body.Schema)]; sch != nil {
		if v := holding(versions, sch); v != nil {
			return answerOf(subject, v), nil
		}
	}
	return nil, errSchema()
}
