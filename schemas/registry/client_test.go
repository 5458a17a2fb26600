package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/retry"
	"github.com/sluicecdc/sluice/schemas/registry/embedded"
)

func TestMain(m *testing.M) {
	// Apicurio ends with the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/sluicecdc/sluice/internal/process.(*Process).hold"))
}

var quiet = slog.New(slog.DiscardHandler)

// client gives a client of h that retries at once.
func client(t *testing.T, h http.Handler, log *slog.Logger) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return clientOf(t, Config{Registry: s.URL}, log)
}

func clientOf(t *testing.T, cfg Config, log *slog.Logger) *Client {
	t.Helper()
	c, err := New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.retry = retry.Backoff{First: time.Millisecond, Most: 5 * time.Millisecond}
	return c
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func openEmbedded(t *testing.T) *embedded.Registry {
	t.Helper()
	r, err := embedded.Open(t.TempDir(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

const (
	v1   = `{"type":"record","name":"V","fields":[{"name":"id","type":"long"}]}`
	v2   = `{"type":"record","name":"V","fields":[{"name":"id","type":"long"},{"name":"a","type":["null","string"],"default":null}]}`
	vBad = `{"type":"record","name":"V","fields":[{"name":"id","type":"string"}]}`
)

func TestAgainstRegistries(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { testAgainst(t, openEmbedded(t), true) })
	t.Run("Apicurio", func(t *testing.T) {
		target, err := url.Parse(harness.SharedApicurio(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
		testAgainst(t, httputil.NewSingleHostReverseProxy(target), false)
	})
}

// testAgainst asks a registry everything; reasons tells whether it says why a schema is incompatible.
func testAgainst(t *testing.T, reg http.Handler, reasons bool) {
	ctx := context.Background()
	subject := harness.Unique("crm.public.t") + "-value" // Apicurio is shared
	var requests atomic.Int64
	c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		reg.ServeHTTP(w, r)
	}), quiet)
	if err := c.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Latest(ctx, subject); !errors.Is(err, ErrNotFound) {
		t.Errorf("newest of nothing: %v", err)
	}
	if ok, _, err := c.Compatible(ctx, subject, v1); !ok || err != nil {
		t.Errorf("a first schema is compatible: %v, %v", ok, err)
	}
	id, err := c.Register(ctx, subject, v1)
	if err != nil {
		t.Fatal(err)
	}
	// Apicurio takes everything until it is told otherwise.
	level := httptest.NewRequest(http.MethodPut, "/config/"+subject, strings.NewReader(`{"compatibility":"BACKWARD"}`))
	level.Header.Set("Content-Type", "application/json")
	reg.ServeHTTP(httptest.NewRecorder(), level)
	before := requests.Load()
	for range 3 {
		if again, err := c.Register(ctx, subject, v1); again != id || err != nil {
			t.Errorf("registered again: %d, %v", again, err)
		}
	}
	if n := requests.Load() - before; n != 0 {
		t.Errorf("%d requests for what was answered before", n)
	}
	before = requests.Load()
	for range 3 {
		if text, err := c.Schema(ctx, id); text != v1 || err != nil {
			t.Errorf("schema %d: %s, %v", id, text, err)
		}
	}
	if n := requests.Load() - before; n != 1 {
		t.Errorf("%d requests for one schema, want 1", n)
	}
	if got, text, err := c.Latest(ctx, subject); got != id || text != v1 || err != nil {
		t.Errorf("newest: %d %s %v", got, text, err)
	}
	if ok, why, err := c.Compatible(ctx, subject, v2); !ok || err != nil {
		t.Errorf("an optional column: %v %v %v", ok, why, err)
	}
	if got, err := c.Versions(ctx, subject); fmt.Sprint(got) != "[1]" || err != nil {
		t.Errorf("versions: %v, %v", got, err)
	}
	if _, err := c.Register(ctx, subject, vBad); !errors.Is(err, ErrIncompatible) {
		t.Errorf("another type of key is registered: %v", err)
	}
	if _, err := c.Schema(ctx, 2000000); !errors.Is(err, ErrNotFound) {
		t.Errorf("a schema that nobody has: %v", err)
	}
	if ok, why, err := c.Compatible(ctx, subject, vBad); ok || (len(why) > 0) != reasons || err != nil {
		t.Errorf("another type of key: %v %v %v", ok, why, err)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		kind   error
		says   []string
	}{
		"no credentials": {401, `{"error_code":40101,"message":"who are you"}`, ErrDenied, []string{"HTTP 401, who are you", "schemas.username"}},
		"no right":       {403, ``, ErrDenied, []string{"HTTP 403"}},
		"incompatible":   {409, `{"error_code":409,"message":"field id"}`, ErrIncompatible, []string{"field id", "/config/crm.t-value", "nothing is lost"}},
		"invalid":        {422, `{"error_code":42201,"message":"bad name"}`, ErrInvalid, []string{"bad name"}},
		"another API":    {404, `{"status":404}`, ErrAnswer, []string{`HTTP 404, {"status":404}`, "schemas.registry"}},
		"no subject":     {404, `{"error_code":40401,"message":"none"}`, ErrNotFound, nil},
		"id too large":   {200, `{"id":2147483648}`, ErrAnswer, []string{"(schema id 2147483648, want"}},
	} {
		t.Run(name, func(t *testing.T) {
			reg := client(t, answering(c.status, c.body), quiet)
			_, err := reg.Register(context.Background(), "crm.t-value", v1)
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, c.kind) {
				t.Fatalf("%v, want %v", err, c.kind)
			}
			for _, s := range append(c.says, "cannot register the schema of subject crm.t-value at http://127.0.0.1:") {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
		})
	}
}

func TestSchemasOfOtherKinds(t *testing.T) {
	for name, body := range map[string]string{
		"other type": `{"schema":"{}","schemaType":"PROTOBUF"}`,
		"new type":   `{"schema":"{}","schemaType":"XML"}`,
		"references": `{"schema":"{}","references":[{"name":"a","subject":"b","version":1}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, answering(200, body), quiet)
			if text, err := c.Schema(context.Background(), 7); !errors.Is(err, ErrAnswer) {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// endless never stops sending one JSON string.
type endless struct{}

func (endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, `{"schema":"`)
	piece := bytes.Repeat([]byte("x"), 64<<10)
	for r.Context().Err() == nil {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// noHTTP answers with bytes that mean nothing.
func noHTTP(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, strings.Repeat("\xff\x00garbage", 1000))
}

// An answer that cannot be read stands before a registry that is away: it is named, and waited out.
func TestUnreadableAnswersAreWaitedFor(t *testing.T) {
	register := func(c *Client) error { _, err := c.Register(context.Background(), "crm.t-value", v1); return err }
	read := func(c *Client) error { _, err := c.Schema(context.Background(), 1); return err }
	for name, c := range map[string]struct {
		ask  func(*Client) error
		bad  http.Handler
		says string
	}{
		"redirect":      {register, answering(302, ``), "HTTP 302"},
		"page":          {register, answering(404, `<html>nginx`), "HTTP 404, <html>nginx"},
		"error":         {register, answering(500, `{"error_code":50001,"message":"store"}`), "HTTP 500, store"},
		"not JSON":      {register, answering(200, `<html>`), "the answer cannot be read: "},
		"empty":         {register, answering(200, ``), "unexpected end of JSON"},
		"another JSON":  {register, answering(200, `[1,2]`), "the answer cannot be read: "},
		"no id":         {register, answering(200, `{"ok":true}`), "the answer cannot be read: schema id 0"},
		"negative id":   {register, answering(200, `{"id":-4}`), "schema id -4"},
		"id of text":    {register, answering(200, `{"id":"7"}`), "the answer cannot be read: "},
		"no text":       {read, answering(200, `{}`), "the answer cannot be read: no schema text"},
		"text of JSON":  {read, answering(200, `{"schema":{}}`), "the answer cannot be read: "},
		"binary":        {read, answering(200, "\x00\x01\xff\xfe"), "the answer cannot be read: "},
		"deep nest":     {read, answering(200, strings.Repeat("[", 200000)), "the answer cannot be read: "},
		"no text: null": {read, answering(200, `{"schema":null}`), "no schema text"},
		"endless":       {read, endless{}, "longer than 16777216 bytes"},
		"no HTTP":       {read, http.HandlerFunc(noHTTP), "malformed HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			reg, log := openEmbedded(t), &lines{}
			if _, err := client(t, reg, quiet).Register(context.Background(), "crm.t-value", v1); err != nil {
				t.Fatal(err)
			}
			var asked atomic.Int64
			err := c.ask(client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) < 3 {
					c.bad.ServeHTTP(w, r)
					return
				}
				reg.ServeHTTP(w, r)
			}), slog.New(slog.NewTextHandler(log, nil))))
			if err != nil {
				t.Error(err)
			}
			if text := log.String(); !strings.Contains(text, c.says) || strings.Count(text, "\n") != 2 {
				t.Errorf("the log does not say %q once:\n%s", c.says, text)
			}
		})
	}
}

// A registry that comes back empty gives ids that stand in records to other schemas.
func TestForgottenSchemas(t *testing.T) {
	full, empty := openEmbedded(t), openEmbedded(t)
	var now atomic.Pointer[embedded.Registry]
	now.Store(full)
	c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().ServeHTTP(w, r) }), quiet)
	ctx := context.Background()
	if _, err := c.Register(ctx, "crm.t-value", v1); err != nil {
		t.Fatal(err)
	}
	now.Store(empty)
	if _, _, err := c.Latest(ctx, "crm.t-value"); !errors.Is(err, ErrForgotten) || !strings.Contains(err.Error(), "restore it from its backup") {
		t.Errorf("the newest schema of a subject that we registered: %v", err)
	}
	if _, _, err := c.Latest(ctx, "crm.u-value"); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrForgotten) {
		t.Errorf("the newest schema of another subject: %v", err)
	}
	const other = `{"type":"record","name":"V","namespace":"crm.u","fields":[]}`
	if _, err := c.Register(ctx, "crm.u-value", other); !errors.Is(err, ErrForgotten) || !strings.Contains(err.Error(), "id 1, which it gave to a schema of subject crm.t-value before") {
		t.Errorf("an id that was given before: %v", err)
	}
	now.Store(full)
	if _, err := c.Register(ctx, "crm.u-value", other); err != nil {
		t.Errorf("the registry is restored: %v", err)
	}
}

// flaky fails as often as it is told, in ways that pass.
type flaky struct {
	left atomic.Int64
	next http.Handler
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch n := f.left.Add(-1); {
	case n < 0:
		f.next.ServeHTTP(w, r)
	case n%3 == 0:
		panic(http.ErrAbortHandler) // the connection breaks
	case n%3 == 1:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Length", "1000") // the body breaks off
		_, _ = io.WriteString(w, `{"id":`)
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestOutageIsWaitedForAndLoggedOnce(t *testing.T) {
	log := &lines{}
	f := &flaky{next: openEmbedded(t)}
	f.left.Store(25)
	c := client(t, f, slog.New(slog.NewTextHandler(log, nil)))
	m := NewMetrics(prometheus.NewPedanticRegistry())
	c.Observe(m)
	id, err := c.Register(context.Background(), "s", v1)
	if id != 1 || err != nil {
		t.Fatalf("%d, %v", id, err)
	}
	text := log.String()
	if strings.Count(text, "does not answer") != 1 || strings.Count(text, "answers again") != 1 || strings.Count(text, "\n") != 2 {
		t.Errorf("want one line for the outage and one for its end:\n%s", text)
	}
	if n := testutil.ToFloat64(m.retries); n < 20 {
		t.Errorf("%v retries counted", n)
	}
	if up := testutil.ToFloat64(m.up); up != 1 {
		t.Errorf("up is %v after the outage", up)
	}
}

func TestUnreachableEndsWithItsReason(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c := clientOf(t, Config{Registry: "http://" + addr}, quiet)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err = c.Ping(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}

func TestCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]Config{
		"Basic dTpw":       {Username: "u", Password: "p"},
		"Bearer inline":    {Token: "inline"},
		"Bearer from-file": {TokenFile: file},
		"":                 {},
	} {
		var got atomic.Value
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got.Store(r.Header.Get("Authorization"))
			answering(200, `["AVRO"]`)(w, r)
		}))
		t.Cleanup(s.Close)
		cfg.Registry = s.URL
		if err := clientOf(t, cfg, quiet).Ping(context.Background()); err != nil {
			t.Error(err)
		}
		if got.Load() != want {
			t.Errorf("Authorization is %q, want %q", got.Load(), want)
		}
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(answering(200, `["AVRO"]`))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	pem := pemOf(s.Certificate().Raw)
	if err := os.WriteFile(ca, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := clientOf(t, Config{Registry: s.URL, TLS: TLS{CA: ca}}, quiet).Ping(context.Background()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := clientOf(t, Config{Registry: s.URL}, quiet).Ping(ctx); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
}

func TestOldRegistryIsAskedAboutTheLatest(t *testing.T) {
	c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/versions") {
			answering(405, `{"error_code":405,"message":"HTTP 405 Method Not Allowed"}`)(w, r)
			return
		}
		answering(200, `{"is_compatible":false,"messages":["no"]}`)(w, r)
	}), quiet)
	ok, why, err := c.Compatible(context.Background(), "s", v1)
	if ok || fmt.Sprint(why) != "[no]" || err != nil {
		t.Errorf("%v %v %v", ok, why, err)
	}
}
