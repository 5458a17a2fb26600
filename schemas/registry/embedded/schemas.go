package embedded

import (
	"cmp"
	"net/http"
	"slices"
)

// use is one place where a schema is used.
type use struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// uses gives the places of a schema id, hidden ones when deleted is set. A schema that no subject
// holds any more is not found.
func (s *state) uses(id int, deleted bool) ([]use, error) {
	out, found := []use{}, false
	for _, name := range s.names() {
		for _, v := range s.subjects[name] {
			if v.schema.id != id {
				continue
			}
			found = true
			if deleted || !v.deleted {
				out = append(out, use{Subject: name, Version: v.number})
			}
		}
	}
	if !found {
		return nil, errSchemaID(id)
	}
	return out, nil
}

// usesOf answers with the places of the path's schema.
func (r *Registry) usesOf(q *http.Request) ([]use, error) {
	id, err := idOf(q)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.uses(id, flag(q, "deleted"))
}

func (r *Registry) schemaVersions(q *http.Request) (any, error) {
	uses, err := r.usesOf(q)
	return page(q, uses), err
}

func (r *Registry) schemaSubjects(q *http.Request) (any, error) {
	uses, err := r.usesOf(q)
	names := []string{}
	for _, u := range uses {
		names = append(names, u.Subject)
	}
	return page(q, slices.Compact(names)), err
}

// byID gives the path's schema. Hidden versions still give their schema: records hold its id.
func (r *Registry) byID(q *http.Request) (text string, maxID int, err error) {
	id, err := idOf(q)
	if err != nil {
		return "", 0, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, err := r.state.uses(id, true); err != nil {
		return "", 0, err
	}
	return r.state.schemas[id].text, r.state.lastID, nil
}

func (r *Registry) getSchema(q *http.Request) (any, error) {
	text, maxID, err := r.byID(q)
	out := map[string]any{"schema": text}
	if flag(q, "fetchMaxId") {
		out["maxId"] = maxID
	}
	return out, err
}

func (r *Registry) getSchemaText(q *http.Request) (any, error) {
	text, _, err := r.byID(q)
	return rawText(text), err
}

// listSchemas gives every version of every subject, or the latest of each.
func (r *Registry) listSchemas(q *http.Request) (any, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := []versionAnswer{}
	for _, name := range r.state.matching(q) {
		versions := r.state.visible(q, name)
		if flag(q, "latestOnly") && len(versions) > 0 {
			versions = versions[len(versions)-1:]
		}
		for _, v := range versions {
			out = append(out, answerOf(name, v))
		}
	}
	slices.SortStableFunc(out, func(a, b versionAnswer) int { return cmp.Compare(a.Subject, b.Subject) })
	return page(q, out), nil
}
