package console

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// handler gives the console's paths.
func (c *Console) handler(loopback bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", newPage())
	mux.HandleFunc("GET /api/status", c.status)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", c.ready)
	if c.o.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(c.o.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	}
	if loopback {
		addProfiles(mux)
	}
	return harden(mux)
}

// addProfiles serves pprof. Memory profiles and goroutine dumps can hold what rows held, so only
// someone on this machine may ask, and no web page that reaches us under a name of its own (DNS
// rebinding).
func addProfiles(mux *http.ServeMux) {
	for path, f := range map[string]http.HandlerFunc{
		"/debug/pprof/":        pprof.Index,
		"/debug/pprof/cmdline": absent, // it may hold a DSN
		"/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol":  pprof.Symbol,
		"/debug/pprof/trace":   pprof.Trace,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if !isLocalHost(r.Host) {
				http.Error(w, "profiles are for this machine: ask by its loopback address", http.StatusForbidden)
				return
			}
			f(w, r)
		})
	}
}

func absent(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// isLocalHost tells whether a Host header is a loopback address or localhost.
func isLocalHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// harden answers GET and HEAD only, ignores bodies, and tells browsers to be strict.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "the console only shows: GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
		next.ServeHTTP(w, r)
	})
}

func (c *Console) status(w http.ResponseWriter, _ *http.Request) {
	body, err := json.Marshal(c.o.Status())
	if err != nil {
		c.o.Log.Error("cannot write the status as JSON", "error", err)
		text(w, http.StatusInternalServerError, "cannot write the status as JSON: see the log\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // the client is gone: nobody is left to tell
}

func (c *Console) ready(w http.ResponseWriter, _ *http.Request) {
	if err := c.o.Ready(); err != nil {
		text(w, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	text(w, http.StatusOK, "ready\n")
}

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, s)
}
