package embedded

import "net/http"

// deleteSubject hides all versions of a subject, or with permanent=true forgets the hidden ones.
func (r *Registry) deleteSubject(q *http.Request) (any, error) {
	subject, err := subjectOf(q)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	all, live, permanent := r.state.subjects[subject], r.state.live(subject), flag(q, "permanent")
	doomed := live
	switch {
	case len(all) == 0:
		return nil, errSubject(subject)
	case permanent && len(live) > 0:
		return nil, faultf(40405, "Subject '%s' was not deleted first before being permanently deleted", subject)
	case permanent:
		doomed = all
	case len(live) == 0:
		return nil, faultf(40404, "Subject '%s' was soft deleted.Set permanent=true to delete permanently", subject)
	}
	n := numbers(doomed)
	return n, r.remove(subject, n, permanent)
}

// deleteVersion does the same for one version.
func (r *Registry) deleteVersion(q *http.Request) (any, error) {
	subject, err := subjectOf(q)
	if err != nil {
		return nil, err
	}
	n, err := versionOf(q)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	permanent := flag(q, "permanent")
	v, err := r.state.doomed(subject, n, permanent)
	switch {
	case err != nil:
		return nil, err
	case permanent && !v.deleted:
		return nil, faultf(40407, "Subject '%s' Version %d was not deleted first before being permanently deleted", subject, v.number)
	case !permanent && v.deleted:
		return nil, faultf(40406, "Subject '%s' Version %d was soft deleted.Set permanent=true to delete permanently", subject, v.number)
	}
	return v.number, r.remove(subject, []int{v.number}, permanent)
}

// doomed gives the version to delete; the latest is the latest of those that can be.
func (s *state) doomed(subject string, n int, permanent bool) (*version, error) {
	all := s.subjects[subject]
	if len(all) == 0 {
		return nil, errSubject(subject)
	}
	if n == latest {
		n = all[len(all)-1].number
		if live := s.live(subject); len(live) > 0 && !permanent {
			n = live[len(live)-1].number
		}
	}
	if v := s.find(subject, n); v != nil {
		return v, nil
	}
	return nil, errVersion(n)
}

func (r *Registry) remove(subject string, versions []int, permanent bool) error {
	if m := r.state.mode(subject); m == readOnly {
		return errNotPermitted("Subject %s is in read-only mode", subject)
	}
	return r.commit(entry{Delete: &deletion{Subject: subject, Versions: versions, Permanent: permanent}})
}
