package embedded

import (
	"encoding/json"
	"net/http"
)

// endpoint answers one request of the API with a value to write as JSON, or with an error.
type endpoint func(*http.Request) (any, error)

// rawText is an answer that is written as it is.
type rawText string

// newRoutes gives the API's paths.
func newRoutes(r *Registry) http.Handler {
	mux := http.NewServeMux()
	for pattern, f := range map[string]endpoint{
		"GET /{$}":            func(*http.Request) (any, error) { return struct{}{}, nil },
		"GET /contexts":       func(*http.Request) (any, error) { return []string{"."}, nil },
		"GET /v1/metadata/id": func(*http.Request) (any, error) { return clusterID(), nil },

		"GET /subjects":                                             r.listSubjects,
		"POST /subjects/{subject}":                                  r.lookup,
		"DELETE /subjects/{subject}":                                r.deleteSubject,
		"GET /subjects/{subject}/versions":                          r.listVersions,
		"POST /subjects/{subject}/versions":                         r.register,
		"GET /subjects/{subject}/versions/{version}":                r.getVersion,
		"DELETE /subjects/{subject}/versions/{version}":             r.deleteVersion,
		"GET /subjects/{subject}/versions/{version}/schema":         r.getVersionSchema,
		"GET /subjects/{subject}/versions/{version}/referencedby":   r.referencedBy,
		"POST /compatibility/subjects/{subject}/versions":           r.checkAll,
		"POST /compatibility/subjects/{subject}/versions/{version}": r.checkOne,

		"GET /schemas":                   r.listSchemas,
		"GET /schemas/types":             func(*http.Request) (any, error) { return []string{"AVRO"}, nil },
		"GET /schemas/ids/{id}":          r.getSchema,
		"GET /schemas/ids/{id}/schema":   r.getSchemaText,
		"GET /schemas/ids/{id}/subjects": r.schemaSubjects,
		"GET /schemas/ids/{id}/versions": r.schemaVersions,

		"GET /config":              r.getSetting(levelSetting),
		"PUT /config":              r.putSetting(levelSetting),
		"DELETE /config":           r.deleteSetting(levelSetting),
		"GET /config/{subject}":    r.getSetting(levelSetting),
		"PUT /config/{subject}":    r.putSetting(levelSetting),
		"DELETE /config/{subject}": r.deleteSetting(levelSetting),
		"GET /mode":                r.getSetting(modeSetting),
		"PUT /mode":                r.putSetting(modeSetting),
		"DELETE /mode":             r.deleteSetting(modeSetting),
		"GET /mode/{subject}":      r.getSetting(modeSetting),
		"PUT /mode/{subject}":      r.putSetting(modeSetting),
		"DELETE /mode/{subject}":   r.deleteSetting(modeSetting),
	} {
		mux.Handle(pattern, f)
	}
	return withFaults(mux)
}

// ServeHTTP calls the endpoint and writes what it gives.
func (f endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	v, err := f(r)
	if err != nil {
		write(w, faultOf(err).status, faultOf(err))
		return
	}
	write(w, http.StatusOK, v)
}

func write(w http.ResponseWriter, status int, v any) {
	body, err := encode(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error_code":50001,"message":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: nobody is left to tell
}

func encode(v any) ([]byte, error) {
	if text, ok := v.(rawText); ok {
		return []byte(text), nil
	}
	return json.Marshal(v)
}

// withFaults answers in the API's form where the mux has no route: a client reads JSON or nothing.
func withFaults(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		p := &probe{header: w.Header(), status: http.StatusOK}
		h.ServeHTTP(p, r)
		write(w, p.status, faultf(p.status, "HTTP %d %s", p.status, http.StatusText(p.status)))
	})
}

// probe takes a status and the headers, and drops the text.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) WriteHeader(status int)      { p.status = status }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// clusterID is what clients of Confluent's ask to tell registries apart.
func clusterID() any {
	return map[string]any{
		"id":    "",
		"scope": map[string]any{"path": []string{}, "clusters": map[string]string{"schema-registry-cluster": "sluice"}},
	}
}
