package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// Check looks at the API without changing anything: whether we can sign in, whether it answers, by a GET of url, and
// whether it takes our credentials.
func (s *Sink) Check(ctx context.Context) []sink.Finding {
	const signs, answers = "credentials", "the API answers"
	token, err := s.signer.token(ctx)
	if err != nil {
		return []sink.Finding{{What: signs, Fault: err.Error(), Fix: "correct auth, or the file or endpoint that it names"}}
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.o.URL, http.NoBody)
	if err != nil {
		return []sink.Finding{{What: answers, Fault: err.Error(), Fix: "correct url"}}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sluice")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := send(s.client, req)
	switch {
	case err != nil:
		return []sink.Finding{{What: answers, Fault: fmt.Sprintf("%s: %v", s.o.URL, plain(err)), Fix: "correct url or tls.ca, or start the API"}}
	case a.status >= 500:
		return []sink.Finding{{What: answers, Fault: fmt.Sprintf("%s answered %s%s", s.o.URL, statusText(a.status), a.excerpt(token)), Fix: "see what ails the API: calls are tried again until it answers"}}
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return []sink.Finding{{What: answers}, {What: signs, Fault: fmt.Sprintf("%s answered %s%s", s.o.URL, statusText(a.status), a.excerpt(token)), Fix: "correct auth: calls need these credentials"}}
	case a.status >= 300 && a.status < 400:
		return []sink.Finding{{What: answers}, {What: "url", Warning: true, Fault: fmt.Sprintf("%s redirects to %.200q, and a call that is redirected stops the sink", s.o.URL, a.location), Fix: "write the address behind the redirect, where the paths of the calls are redirected too"}}
	}
	return []sink.Finding{{What: answers}, {What: signs}}
}

// CheckShapes compiles the calls for tables, as Apply gets them.
func (s *Sink) CheckShapes(_ context.Context, shapes []*change.Table) (found []sink.Finding) {
	for _, t := range shapes {
		d := s.dests[destID{t.Schema, t.Name}]
		if d == nil {
			continue
		}
		f := sink.Finding{What: "calls of table " + t.QualifiedName()}
		to, err := compile(d, t)
		if err == nil {
			_, err = to.lookup()
		}
		if err != nil {
			f.Fault, f.Fix = err.Error(), "correct the configuration"
			if place := (*PlaceError)(nil); !errors.As(err, &place) {
				f.Fix = "give the table a key at the source, or take it out of the sink"
			}
		}
		found = append(found, f)
	}
	return found
}

// ColumnTypes gives nothing: an API does not tell.
func (s *Sink) ColumnTypes(context.Context, string, string) (map[string]string, error) {
	return nil, nil
}
