package embedded

import "net/http"

// checkAnswer is a verdict on a schema; the reasons go to those who ask for them.
type checkAnswer struct {
	Compatible bool     `json:"is_compatible"`
	Messages   []string `json:"messages,omitempty"`
}

// checkAll compares a schema with the versions that registering it would be compared with.
func (r *Registry) checkAll(q *http.Request) (any, error) {
	return r.check(q, func(subject string) ([]*version, error) { return r.state.live(subject), nil })
}

// checkOne compares a schema with one version. A subject without a latest version takes everything.
func (r *Registry) checkOne(q *http.Request) (any, error) {
	return r.check(q, func(subject string) ([]*version, error) {
		n, err := versionOf(q)
		if err != nil || n == latest && len(r.state.live(subject)) == 0 {
			return nil, err
		}
		v, err := r.state.resolve(q, subject)
		if err != nil {
			return nil, err
		}
		return []*version{v}, nil
	})
}

func (r *Registry) check(q *http.Request, against func(subject string) ([]*version, error)) (any, error) {
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
	versions, err := against(subject)
	if err != nil {
		return nil, err
	}
	reasons, err := r.state.conflicts(subject, body.Schema, versions)
	if err != nil {
		return nil, errInvalidSchema(err)
	}
	out := checkAnswer{Compatible: len(reasons) == 0}
	if flag(q, "verbose") {
		out.Messages = reasons
	}
	return out, nil
}
