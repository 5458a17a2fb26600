package embedded

import (
	"bufio"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest: whatever comes over the wire is answered as JSON, and never by a fault of ours.
func FuzzRequest(f *testing.F) {
	f.Add("POST /subjects/s/versions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"schema\":\"\\\"int\\\"\"}")
	f.Add("GET /schemas/ids/1 HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("PUT /config/s HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n{\"compatibility\":\"FULL\"}")
	f.Add("DELETE /subjects/s?permanent=true HTTP/1.1\r\nHost: x\r\n\r\n")
	registry, err := Open(f.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	defer registry.Close()
	f.Fuzz(func(t *testing.T, wire string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
		if err != nil {
			return
		}
		r.Body = http.MaxBytesReader(nil, io.NopCloser(r.Body), 64<<10)
		w := httptest.NewRecorder()
		registry.ServeHTTP(w, r)
		if w.Code < 200 || w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
