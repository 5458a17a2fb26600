package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// sample is the shape that the page and other programs rely on.
var sample = map[string]any{
	"source": "crm",
	"capture": map[string]any{
		"state": "streaming", "confirmed_lsn": "0/15D6A28", "durable_lsn": "0/15D6B90", "lag_seconds": 0.042,
		"slot": map[string]any{"name": "sluice_crm", "wal_bytes": 1234567},
	},
	"sinks": map[string]any{
		"billing": map[string]any{"state": "running", "applied_lsn": "0/15D6B90", "applied_time": "2026-01-02T03:04:05.678Z", "lag_seconds": 0.05, "parked": 0},
	},
}

func newConsole(o Options) *Console {
	if o.Status == nil {
		o.Status = func() any { return sample }
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_test_figure"}, func() float64 { return 7 }))
	o.Metrics, o.Log = reg, quiet
	return New(Config{}, o)
}

func get(h http.Handler, method, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8090"+path, nil)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPaths(t *testing.T) {
	h := newConsole(Options{}).handler(true)
	for _, c := range []struct {
		method, path string
		status       int
		kind, body   string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "<title>sluice</title>"},
		{"GET", "/api/status", 200, "application/json", `"durable_lsn":"0/15D6B90"`},
		{"GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "sluice_test_figure 7"},
		{"GET", "/healthz", 200, "text/plain; charset=utf-8", "ok"},
		{"GET", "/readyz", 200, "text/plain; charset=utf-8", "ready"},
		{"HEAD", "/healthz", 200, "text/plain; charset=utf-8", ""},
		{"GET", "/debug/pprof/", 200, "text/html; charset=utf-8", "goroutine"},
		{"GET", "/debug/pprof/goroutine?debug=1", 200, "text/plain; charset=utf-8", "goroutine profile"},
		{"GET", "/debug/pprof/cmdline", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/nothing", 404, "text/plain; charset=utf-8", ""},
		{"POST", "/api/status", 405, "text/plain; charset=utf-8", "GET and HEAD"},
		{"DELETE", "/", 405, "text/plain; charset=utf-8", ""},
		{"OPTIONS", "/api/status", 405, "text/plain; charset=utf-8", ""},
	} {
		w := get(h, c.method, c.path)
		if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s %s: %d %s %.200s", c.method, c.path, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
		if w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s %s: headers %v", c.method, c.path, w.Header())
		}
	}
}

func TestReadyGivesItsReason(t *testing.T) {
	h := newConsole(Options{Ready: func() error { return errors.New("sink billing lags 45 s") }}).handler(true)
	if w := get(h, "GET", "/readyz"); w.Code != 503 || w.Body.String() != "sink billing lags 45 s\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(h, "GET", "/healthz"); w.Code != 200 {
		t.Errorf("not ready is not dead: %d", w.Code)
	}
}

func TestStatusThatIsNoJSON(t *testing.T) {
	h := newConsole(Options{Status: func() any { return math.NaN() }}).handler(true)
	if w := get(h, "GET", "/api/status"); w.Code != 500 || !strings.Contains(w.Body.String(), "see the log") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestProfilesAreForThisMachine(t *testing.T) {
	c := newConsole(Options{})
	if w := get(c.handler(false), "GET", "/debug/pprof/"); w.Code != 404 {
		t.Errorf("on a public address: %d", w.Code)
	}
	for host, status := range map[string]int{
		"localhost:8090": 200, "[::1]:8090": 200, "127.0.0.1": 200, "evil.example:8090": 403, "127.0.0.1.evil.example": 403, "": 403,
	} {
		if w := get(c.handler(true), "GET", "/debug/pprof/", func(r *http.Request) { r.Host = host }); w.Code != status {
			t.Errorf("host %q: %d, want %d", host, w.Code, status)
		}
	}
}

// TestPageIsSelfContained proves that the browser runs the page's own script and style and asks
// nobody else.
func TestPageIsSelfContained(t *testing.T) {
	w := get(newConsole(Options{}).handler(true), "GET", "/")
	body, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	for _, tag := range []string{"script", "style"} {
		m := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(body, -1)
		if len(m) != 1 {
			t.Fatalf("%d elements %s", len(m), tag)
		}
		sum := sha256.Sum256([]byte(m[0][1]))
		if want := tag + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	for _, outside := range []string{"http://", "https://", " src=", "@import", "innerHTML", " style=", " onclick"} {
		rest := strings.ReplaceAll(body, "http://www.w3.org/2000/svg", "")
		if strings.Contains(rest, outside) {
			t.Errorf("the page holds %q", outside)
		}
	}
}

// client asks without keeping connections, so that no goroutine is left.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

func TestRun(t *testing.T) {
	c := newConsole(Options{Address: "127.0.0.1:0"})
	addr, err := c.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	resp, err := client.Get("http://" + addr.String() + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil || got["source"] != "crm" {
		t.Errorf("%s %v", b, err)
	}
	other := newConsole(Options{Address: addr.String(), Key: "console.sink_listen"})
	if err := other.Run(ctx); err == nil || !strings.Contains(err.Error(), addr.String()) || !strings.Contains(err.Error(), "console.sink_listen") {
		t.Errorf("an address in use: %v", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", addr.String()); err == nil {
		_ = conn.Close()
		t.Error("the port is still open")
	}
}

func TestGarbageOnTheWire(t *testing.T) {
	c := newConsole(Options{Address: "127.0.0.1:0"})
	addr, err := c.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	for _, garbage := range [][]byte{
		[]byte("\x16\x03\x01\x02\x00\x01\x00"), bytes.Repeat([]byte{0xff}, 1000),
		[]byte("GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 64<<10) + "\r\n\r\n"),
		[]byte("GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"), []byte("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"),
	} {
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Write(garbage)
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		if bytes.Contains(answer, []byte("200 OK")) {
			t.Errorf("%.20q got %.100q", garbage, answer)
		}
		_ = conn.Close()
	}
	resp, err := client.Get("http://" + addr.String() + "/healthz")
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg        Config
		sink, want string
	}{
		{Config{}, "127.0.0.1:8091", ""},
		{Config{Listen: "0.0.0.0:9000"}, "0.0.0.0:9001", ""},
		{Config{Listen: "[::1]:9000", SinkListen: "127.0.0.1:1"}, "127.0.0.1:1", ""},
		{Config{Listen: "9000"}, "", "console.listen: "},
		{Config{Listen: "host:http"}, "", "console.listen: "},
		{Config{Listen: "host:65535"}, "", "console.sink_listen: "},
		{Config{SinkListen: "x"}, "x", "console.sink_listen: "},
		{Config{Listen: "a:1", SinkListen: "a:1"}, "a:1", "console.sink_listen: "},
	} {
		err := c.cfg.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
		if got := c.cfg.WithDefaults().SinkListen; got != c.sink {
			t.Errorf("%+v: sink_listen %q, want %q", c.cfg, got, c.sink)
		}
	}
}
