package console

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest: whatever comes over the wire that the server takes for a request changes nothing, is answered with the
// headers that browsers obey, and by a page of ours or an error.
func FuzzRequest(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	f.Add("POST /api/status HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	f.Add("GET /debug/pprof/../../etc HTTP/1.0\r\nHost: evil\r\n\r\n")
	f.Fuzz(func(t *testing.T, wire string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
		if err != nil || strings.HasPrefix(r.URL.Path, "/debug/pprof/") && r.Method == http.MethodGet {
			return // profiles take their time
		}
		h := newConsole(Options{}).handler(true)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch {
		case w.Code < 200 || w.Code >= 500:
			t.Errorf("%d %s", w.Code, w.Body)
		case w.Code == 200 && r.Method != http.MethodGet && r.Method != http.MethodHead:
			t.Errorf("%s is taken", r.Method)
		case w.Header().Get("X-Content-Type-Options") != "nosniff":
			t.Errorf("headers %v", w.Header())
		}
	})
}
