package embedded

import (
	"net/http"
	"strings"
)

// register gives the id of a schema under a subject. What is there already gets its id in every
// mode, so that a restart of a writer needs no right to write.
func (r *Registry) register(q *http.Request) (any, error) {
	subject, err := subjectOf(q)
	if err != nil {
		return nil, err
	}
	body, err := readSchema(q)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sch := r.state.byIdentity[identify(body.Schema)]
	if v := holding(r.state.live(subject), sch); v != nil && (body.ID <= 0 || body.ID == v.schema.id) {
		return map[string]int{"id": v.schema.id}, nil
	}
	e, err := r.state.plan(subject, body, sch)
	if err != nil {
		return nil, err
	}
	return map[string]int{"id": e.ID}, r.commit(entry{Register: e})
}

// plan makes the entry of a new version, or says why there cannot be one. sch is the schema where it
// is known under another subject.
func (s *state) plan(subject string, body schemaRequest, sch *schema) (*registration, error) {
	if body.ID > 0 {
		return s.planImport(subject, body, sch)
	}
	if m := s.mode(subject); m != readWrite {
		return nil, errNotPermitted("Subject %s is not in read-write mode but in mode %s", subject, m)
	}
	reasons, err := s.conflicts(subject, body.Schema, s.live(subject))
	switch {
	case err != nil:
		return nil, errInvalidSchema(err)
	case len(reasons) > 0:
		return nil, faultf(http.StatusConflict,
			"Schema being registered is incompatible with an earlier schema for subject \"%s\", details: [%s]", subject, strings.Join(reasons, "; "))
	}
	e := &registration{Subject: subject, Version: s.nextVersion(subject)}
	if sch != nil {
		e.ID = sch.id
	} else {
		e.ID, e.Schema = s.lastID+1, body.Schema
	}
	return e, nil
}

// planImport takes a schema over from another registry under the id that it had there.
func (s *state) planImport(subject string, body schemaRequest, sch *schema) (*registration, error) {
	e := &registration{Subject: subject, Version: body.Version, ID: body.ID}
	if e.Version < 1 {
		e.Version = s.nextVersion(subject)
	}
	taken := s.schemas[body.ID]
	switch {
	case s.mode(subject) != importing:
		return nil, errNotPermitted("Subject %s is not in import mode, so the registry gives the ids", subject)
	case taken != nil && taken != sch:
		return nil, faultf(42207, "Overwrite new schema with id %d is not permitted: the id has another schema", body.ID)
	case sch != nil && taken == nil:
		return nil, faultf(42207, "The schema has the id %d already, not %d", sch.id, body.ID)
	case s.find(subject, e.Version) != nil:
		return nil, errNotPermitted("Subject %s has version %d already", subject, e.Version)
	case taken == nil:
		e.Schema = body.Schema
	}
	return e, nil
}
