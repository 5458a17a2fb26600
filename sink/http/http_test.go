package http_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/http"
)

// desk is an API that answers as it is told and notes what it was asked.
type desk struct {
	url string

	mu     sync.Mutex
	answer func(r *nethttp.Request, n int) (status int, header map[string]string, body string)
	asked  []string // method, path with query, body
	keys   []string // idempotency keys
	tokens []string
}

func newDesk(t *testing.T, answer func(r *nethttp.Request, n int) (int, map[string]string, string)) *desk {
	t.Helper()
	d := &desk{answer: answer}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// ServeHTTP implements http.Handler.
func (d *desk) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	d.mu.Lock()
	d.asked = append(d.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	d.keys = append(d.keys, r.Header.Get("Idempotency-Key"))
	d.tokens = append(d.tokens, r.Header.Get("Authorization"))
	status, header, text := d.answer(r, len(d.asked))
	d.mu.Unlock()
	for k, v := range header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}

func ok(*nethttp.Request, int) (int, map[string]string, string) { return 200, nil, "" }

// statuses answers with one after the other, then 200.
func statuses(all ...int) func(*nethttp.Request, int) (int, map[string]string, string) {
	return func(_ *nethttp.Request, n int) (int, map[string]string, string) {
		if n <= len(all) {
			return all[n-1], nil, "no"
		}
		return 200, nil, ""
	}
}

// rig is a resumed sink of a desk.
type rig struct {
	t      *testing.T
	sink   *http.Sink
	commit change.LSN
}

// rigged reads the keys of one table as a configuration has them, and those of the sink.
func rigged(t *testing.T, client *kafka.Client, url, table, keys string, metrics *http.Metrics) *rig {
	t.Helper()
	return &rig{t: t, sink: resumed(t, newSink(t, client, url, table, keys, metrics))}
}

func newSink(t *testing.T, client *kafka.Client, url, table, keys string, metrics *http.Metrics) *http.Sink {
	t.Helper()
	o := optionsOf(t, client, url, table, keys)
	o.Metrics = metrics
	return opened(t, o)
}

func optionsOf(t *testing.T, client *kafka.Client, url, table, keys string) http.Options {
	t.Helper()
	var entry struct {
		sink.Table `yaml:",inline"`
		HTTP       http.Table `yaml:",inline"`
	}
	own := http.Config{}
	for text, into := range map[string]any{table: &entry, keys: &own} {
		if err := yaml.UnmarshalWithOptions([]byte(text), into, yaml.Strict()); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	own.URL, own.Tables = url, []http.Table{entry.HTTP}
	own.Locate("sluice.yml")
	o, err := http.FromConfig(sink.Config{Name: "billing", Source: strings.ReplaceAll(t.Name(), "/", "_"), Type: "http", Tables: []sink.Table{entry.Table}}, own)
	if err != nil {
		t.Fatal(err)
	}
	o.Kafka, o.Lease, o.Log = client, http.Lease{Beat: 100 * time.Millisecond, Hold: 1500 * time.Millisecond, Take: 2500 * time.Millisecond}, slog.New(slog.NewTextHandler(t.Output(), nil))
	return o
}

func opened(t *testing.T, o http.Options) *http.Sink {
	t.Helper()
	s, err := http.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func resumed(t *testing.T, s *http.Sink) *http.Sink {
	t.Helper()
	if _, err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *rig) apply(cs ...change.Change) error {
	r.commit += 100
	for i := range cs {
		cs[i].Commit, cs[i].Ordinal = r.commit, int64(i+1)
	}
	return r.again(cs)
}

// again gives the batch that was given last once more.
func (r *rig) again(cs []change.Change) error {
	return r.sink.Apply(r.t.Context(), &sink.Batch{Changes: cs, Checkpoint: sink.Checkpoint{Commit: r.commit}})
}

const plainTable = `{from: public.notes, deletes: hard, upsert: {path: "/notes/{id}"}, delete: {path: "/notes/{id}"}}`

func put(id string) change.Change {
	return change.Change{Op: change.Create, Table: modelNotes, After: modelRow(id, "n", "o")}
}

func TestCalls(t *testing.T) {
	client := broker(t)
	gone := change.Change{Op: change.Delete, Table: modelNotes, Before: keyRow("1")}
	partial := change.Change{Op: change.Update, Table: modelNotes, After: change.Row{modelRow("1")[0], {Format: change.Unchanged}, {Format: change.Null}}}
	for _, c := range []struct {
		name, table string
		changes     []change.Change
		want        []string
	}{
		{"escaped for its place", `{from: public.notes, deletes: ignore, upsert: {method: POST, path: "/a/{id}/b-{name}?q={note}&x=1"}}`,
			[]change.Change{{Op: change.Create, Table: modelNotes, After: modelRow("1", "a/b ?&#ü", "c d&e=f/ü")}},
			[]string{`POST /a/1/b-a%2Fb%20%3F&%23%C3%BC?q=c+d%26e%3Df%2F%C3%BC&x=1 {"id":1,"name":"a/b ?\u0026#ü","note":"c d\u0026e=f/ü"}`}},
		{"a shape of its own", `{from: public.notes, deletes: ignore, upsert: {path: "/n/{id}", body: {note: {title: name, "in": [note, "'const'", 1.10, true, null]}}}}`,
			[]change.Change{put("1")}, []string{`PUT /n/1 {"note":{"title":"n","in":["o","const",1.10,true,null]}}`}},
		{"the last state", plainTable, []change.Change{put("1"), put("2"), put("1"), gone}, []string{"DELETE /notes/1", `PUT /notes/2 {"id":2,"name":"n","note":"o"}`}},
		{"every change", strings.Replace(plainTable, "{from", "{changes: every, from", 1), []change.Change{put("1"), put("1"), gone},
			[]string{"DELETE /notes/1", `PUT /notes/1 {"id":1,"name":"n","note":"o"}`, `PUT /notes/1 {"id":1,"name":"n","note":"o"}`}},
		{"create and update", `{from: public.notes, deletes: ignore, create: {path: /notes}, update: {path: "/notes/{id}", body: {name: name}}}`,
			[]change.Change{put("1"), {Op: change.Update, Table: modelNotes, After: modelRow("2", "n", "o")}}, []string{`POST /notes {"id":1,"name":"n","note":"o"}`, `PUT /notes/2 {"name":"n"}`}},
		{"patch", `{from: public.notes, deletes: ignore, upsert: {path: "/notes/{id}"}, patch: {path: "/notes/{id}"}}`, []change.Change{partial}, []string{`PATCH /notes/1 {"id":1,"note":null}`}},
		{"soft delete", `{from: public.notes, deletes: {soft: {active: false, state: gone, level: 3, name: null}}, upsert: {path: "/notes/{id}"}, patch: {path: "/notes/{id}"}}`,
			[]change.Change{gone}, []string{`PATCH /notes/1 {"id":1,"name":null,"active":false,"state":"gone","level":3}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, ok)
			r := rigged(t, client, d.url, c.table, "{}", nil)
			if err := r.apply(c.changes...); err != nil {
				t.Fatal(err)
			}
			slices.Sort(d.asked)
			if !slices.Equal(d.asked, c.want) {
				t.Errorf("called\n%s\nwant\n%s", strings.Join(d.asked, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// With one call at a time and every change, calls follow commit order across rows too.
func TestCommitOrder(t *testing.T) {
	d := newDesk(t, ok)
	r := rigged(t, broker(t), d.url, strings.Replace(plainTable, "{from", "{changes: every, from", 1), "{concurrency: 1}", nil)
	var cs []change.Change
	var want []string
	for i := range 20 {
		cs = append(cs, put(fmt.Sprint(i%3)))
		want = append(want, fmt.Sprintf(`PUT /notes/%d {"id":%d,"name":"n","note":"o"}`, i%3, i%3))
	}
	if err := r.apply(cs...); err != nil || !slices.Equal(d.asked, want) {
		t.Errorf("%v, called\n%s", err, strings.Join(d.asked, "\n"))
	}
}

func TestRowsThatCannotBeSent(t *testing.T) {
	client := broker(t)
	byName := `{from: public.notes, deletes: ignore, upsert: {path: "/notes/{name}"}}`
	for _, c := range []struct{ name, table, value, want string }{
		{"empty", byName, "", "column name is empty, and the path /notes/ of the call would be that of another resource"},
		{"parent", byName, "..", "the path /notes/.. of the call has the part .."},
		{"null", byName, "NULL", "column name is NULL, and the path of the call needs its value"},
		{"not text", plainTable, "a\xff", "column name (text) cannot be written as JSON: it is not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, ok)
			r := rigged(t, client, d.url, c.table, "{}", nil)
			bad := change.Change{Op: change.Create, Table: modelNotes, After: modelRow("7", c.value, "o")}
			if c.value == "NULL" {
				bad.After[1] = change.Value{Format: change.Null}
			}
			err := r.apply(change.Change{Op: change.Create, Table: modelNotes, After: modelRow("1", "good", "o")}, bad)
			if err == nil || sink.Retryable(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "id=7 of public.notes") {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if len(d.asked) > 0 {
				t.Errorf("called %q before the row was found", d.asked)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	client := broker(t)
	redirected := newDesk(t, ok)
	for _, c := range []struct {
		name, call string
		answer     func(*nethttp.Request, int) (int, map[string]string, string)
		calls      int
		want       string // of the error
	}{
		{"for good", "", func(*nethttp.Request, int) (int, map[string]string, string) {
			return 422, nil, "{\"error\": \"name\n is " + strings.Repeat("bad ", 500) + "\"}"
		}, 1, `sink billing: cannot upsert row id=1 of public.notes: PUT /notes/1: the API answered 422 Unprocessable Entity: {"error": "name is bad bad`},
		{"redirect", "", func(*nethttp.Request, int) (int, map[string]string, string) {
			return 302, map[string]string{"Location": redirected.url}, ""
		}, 1, "redirects are not followed"},
		{"trouble that passes", "", statuses(500, 502, 503, 429, 408), 6, ""},
		{"still under way", "", statuses(409, 409), 3, ""},
		{"done by status", ", done: [418]", statuses(418), 1, ""},
		{"accepted", ", accept: body.n == 1", func(*nethttp.Request, int) (int, map[string]string, string) { return 200, nil, `{"n": 1}` }, 1, ""},
		{"not accepted", ", accept: body.n == 1", func(*nethttp.Request, int) (int, map[string]string, string) { return 200, nil, `{"n": 2}` }, 1, "of which accept (body.n == 1) does not hold"},
		{"nothing to accept", ", accept: body.n == 1", ok, 1, "cannot be answered"},
		{"nonsense first", ", accept: body.n == 1", func(_ *nethttp.Request, n int) (int, map[string]string, string) {
			return 200, nil, map[bool]string{true: "<html>", false: `{"n": 1}`}[n == 1]
		}, 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, c.answer)
			r := rigged(t, client, d.url, `{from: public.notes, deletes: ignore, upsert: {path: "/notes/{id}"`+c.call+`}}`, "{}", nil)
			err := r.apply(put("1"))
			if c.want == "" && err != nil || c.want != "" && (err == nil || sink.Retryable(err) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && len(err.Error()) > 1500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if len(d.asked) != c.calls || len(slices.Compact(slices.Clone(d.keys))) != 1 || d.keys[0] == "" {
				t.Errorf("%d calls with keys %q, want %d with one", len(d.asked), d.keys, c.calls)
			}
		})
	}
	if len(redirected.asked) > 0 {
		t.Error("a redirect was followed")
	}
}

// A create that finds the row updates it, and an update that does not find it creates it.
func TestCreateAndUpdate(t *testing.T) {
	client := broker(t)
	table := `{from: public.notes, deletes: ignore, create: {path: /notes}, update: {path: "/notes/{id}"}}`
	d := newDesk(t, func(r *nethttp.Request, n int) (int, map[string]string, string) {
		return map[int]int{1: 409, 3: 404}[n] + map[bool]int{true: 200}[n != 1 && n != 3], nil, ""
	})
	r := rigged(t, client, d.url, table, "{concurrency: 1}", nil)
	if err := r.apply(put("1"), change.Change{Op: change.Update, Table: modelNotes, After: modelRow("2", "n", "o")}); err != nil {
		t.Fatal(err)
	}
	var methods []string
	for _, a := range d.asked {
		methods = append(methods, strings.Fields(a)[0])
	}
	if strings.Join(methods, " ") != "POST PUT PUT POST" || len(slices.Compact(slices.Sorted(slices.Values(d.keys)))) != 4 {
		t.Errorf("called %q with keys %q", d.asked, d.keys)
	}
}

// What the API asks for is obeyed: no call is made earlier, and a long wait is the runner's.
func TestRetryAfter(t *testing.T) {
	client := broker(t)
	var first, second time.Time
	d := newDesk(t, func(_ *nethttp.Request, n int) (int, map[string]string, string) {
		switch n {
		case 1:
			first = time.Now()
			return 429, map[string]string{"Retry-After": "1"}, ""
		case 2:
			second = time.Now()
		}
		return 200, nil, ""
	})
	r := rigged(t, client, d.url, plainTable, "{concurrency: 1}", nil)
	if err := r.apply(put("1"), put("2")); err != nil {
		t.Fatal(err)
	}
	if second.Sub(first) < time.Second {
		t.Errorf("called again after %s, asked for 1s", second.Sub(first))
	}
	t.Run("long", func(t *testing.T) {
		d := newDesk(t, func(_ *nethttp.Request, n int) (int, map[string]string, string) {
			return 503, map[string]string{"Retry-After": time.Now().Add(10 * time.Minute).UTC().Format(nethttp.TimeFormat)}, ""
		})
		r := rigged(t, client, d.url, plainTable, "{}", nil)
		for range 3 {
			if err := r.apply(put("1")); err == nil || !sink.Retryable(err) {
				t.Errorf("got %v, want one that may pass", err)
			}
		}
		if len(d.asked) != 1 {
			t.Errorf("%d calls, want 1: the API asked to wait", len(d.asked))
		}
	})
}

// An attempt that fails is made again as it was, and calls that were made are not.
func TestAgainAfterAnError(t *testing.T) {
	client := broker(t)
	mended := false
	d := newDesk(t, func(r *nethttp.Request, _ int) (int, map[string]string, string) {
		return map[bool]int{true: 422, false: 200}[r.URL.Path == "/notes/3" && !mended], nil, ""
	})
	r := rigged(t, client, d.url, plainTable, "{concurrency: 1}", nil)
	cs := []change.Change{put("1"), put("2"), put("3"), put("4")}
	if err := r.apply(cs...); err == nil || sink.Retryable(err) {
		t.Fatalf("got %v", err)
	}
	mended = true
	resumed(t, r.sink)
	if err := r.again(cs); err != nil {
		t.Fatal(err)
	}
	want := []string{"1", "2", "3", "4", "3"}
	for i, a := range d.asked {
		if i >= len(want) || !strings.HasPrefix(a, "PUT /notes/"+want[i]+" ") {
			t.Fatalf("called %q, want the rows %q", d.asked, want)
		}
	}
	if d.keys[2] != d.keys[4] {
		t.Error("the call was made again under another key")
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	hangs := true
	server := httptest.NewServer(nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		if hangs {
			hangs = false
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client goes
			<-r.Context().Done()
			close(release)
		}
	}))
	t.Cleanup(server.Close)
	r := rigged(t, broker(t), server.URL, plainTable, "{timeout: 100ms}", nil)
	if err := r.apply(put("1")); err != nil {
		t.Fatal(err)
	}
	<-release
}

func TestOAuth2(t *testing.T) {
	client := broker(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3 cr3t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens := newDesk(t, func(r *nethttp.Request, n int) (int, map[string]string, string) {
		if id, pass, _ := r.BasicAuth(); id != "sluice" || pass != "s3+cr3t" {
			return 401, nil, "s3 cr3t is wrong"
		}
		return 200, nil, fmt.Sprintf(`{"access_token": "token-%d", "token_type": "Bearer", "expires_in": 3600}`, n)
	})
	refused := "Bearer token-1"
	d := newDesk(t, nil)
	d.answer = func(r *nethttp.Request, n int) (int, map[string]string, string) {
		if n > 3 && r.Header.Get("Authorization") == refused {
			return 401, nil, "not " + r.Header.Get("Authorization")
		}
		return 200, nil, ""
	}
	keys := fmt.Sprintf("{concurrency: 1, auth: {oauth2: {token_url: %q, client_id: sluice, client_secret_file: %q, scopes: [a, b]}}}", tokens.url, secret)
	r := rigged(t, client, d.url, plainTable, keys, nil)
	if err := r.apply(put("1"), put("2"), put("3"), put("4"), put("5")); err != nil {
		t.Fatal(err)
	}
	want := []string{"Bearer token-1", "Bearer token-1", "Bearer token-1", "Bearer token-1", "Bearer token-2", "Bearer token-2"}
	if !slices.Equal(d.tokens, want) || len(tokens.asked) != 2 || !strings.Contains(tokens.asked[0], "grant_type=client_credentials&scope=a+b") {
		t.Errorf("signed in by %q, got tokens by %q", d.tokens, tokens.asked)
	}
	refused = "Bearer token-2"
	d.answer = func(*nethttp.Request, int) (int, map[string]string, string) { return 401, nil, "not " + "token-3" }
	if err := r.apply(put("6")); err == nil || !sink.Retryable(err) || strings.Contains(err.Error(), "token-3") || !strings.Contains(err.Error(), "does not take our credentials") {
		t.Errorf("got %v, want an error that may pass and shows no token", err)
	}
}

// A token is read from its file for each call.
func TestBearerFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	d := newDesk(t, ok)
	r := rigged(t, broker(t), d.url, plainTable, fmt.Sprintf("{auth: {bearer_file: %q}}", file), nil)
	if err := r.apply(put("1")); err != nil {
		t.Fatal(err)
	}
	write("two\n")
	if err := r.apply(put("2")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.tokens, []string{"Bearer one", "Bearer two"}) {
		t.Errorf("signed in by %q", d.tokens)
	}
}

// A process that is not heard of makes no calls any more, and another takes over; when the first wakes up it finds so.
func TestFrozen(t *testing.T) {
	client := broker(t)
	d := newDesk(t, ok)
	r := rigged(t, client, d.url, plainTable, "{}", nil)
	if err := r.apply(put("1")); err != nil {
		t.Fatal(err)
	}
	other := newSink(t, client, d.url, plainTable, "{}", nil)
	if _, err := other.Resume(t.Context()); !errors.Is(err, sink.ErrLeased) {
		t.Fatalf("got %v while the first is there", err)
	}
	r.sink.Freeze()
	for {
		cp, err := other.Resume(t.Context())
		if errors.Is(err, sink.ErrLeased) {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if err != nil || cp.Commit != 100 {
			t.Fatalf("%v, %v", cp, err)
		}
		break
	}
	if err := r.apply(put("2")); err == nil || len(d.asked) != 1 {
		t.Fatalf("the frozen process called %q, %v", d.asked, err)
	}
	if _, err := r.sink.Resume(t.Context()); !errors.Is(err, sink.ErrLeased) {
		t.Errorf("got %v, want to stand by", err)
	}
}

// Figures count requests, retries, waits, and repairs that an API is not told of.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	d := newDesk(t, statuses(500))
	r := rigged(t, broker(t), d.url, plainTable, "{rate: 20/s, concurrency: 1}", http.NewMetrics(reg))
	if err := r.apply(put("1"), put("2"), change.Change{Op: change.Sweep, Table: modelNotes, Keep: 50}); err != nil {
		t.Fatal(err)
	}
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"sluice_http_requests_total billing 2xx public.notes": 2, "sluice_http_requests_total billing 5xx public.notes": 1,
		"sluice_http_retries_total billing public.notes": 1, "sluice_http_request_seconds billing": 3, "sluice_http_unswept_total billing public.notes": 1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if got["sluice_http_rate_limited_seconds_total billing"] <= 0 {
		t.Errorf("the rate kept calls back for %vs", got["sluice_http_rate_limited_seconds_total billing"])
	}
}

func TestCheck(t *testing.T) {
	status := 200
	d := newDesk(t, func(*nethttp.Request, int) (int, map[string]string, string) { return status, nil, "" })
	s := newSink(t, nil, d.url, `{from: public.notes, deletes: hard, upsert: {path: "/notes/{id}", body: {n: nme}}, delete: {path: "/n/{id}/{name}"}}`, "{}", nil)
	faults := func(all []sink.Finding) (out []string) {
		for _, f := range all {
			if f.Fault != "" {
				out = append(out, f.What+": "+f.Fault)
			}
		}
		return out
	}
	for _, status = range []int{200, 404, 405} {
		if f := faults(s.Check(t.Context())); len(f) > 0 {
			t.Errorf("an API that answers %d: %q", status, f)
		}
	}
	for _, status = range []int{401, 403, 500} {
		if f := faults(s.Check(t.Context())); len(f) != 1 {
			t.Errorf("an API that answers %d: %q", status, f)
		}
	}
	if strings.Contains(strings.Join(d.asked, " "), "P") {
		t.Errorf("a check called %q", d.asked)
	}
	f := faults(s.CheckShapes(t.Context(), []*change.Table{modelNotes}))
	if len(f) != 1 || !strings.Contains(f[0], "sluice.yml:1:77: nme is no column of public.notes: it has id, name, note\n  | nme\n  | ^") {
		t.Errorf("shapes: %q", f)
	}
	s = newSink(t, nil, d.url, `{from: public.notes, deletes: hard, upsert: {path: "/notes/{id}"}, delete: {path: "/n/{id}/{name}"}}`, "{}", nil)
	f = faults(s.CheckShapes(t.Context(), []*change.Table{modelNotes}))
	if len(f) != 1 || !strings.Contains(f[0], "sluice.yml:1:92: a delete knows the key of its row only (id), not column name\n  | /n/{id}/{name}\n  |         ^") {
		t.Errorf("shapes: %q", f)
	}
}

// Values keep every digit, and what JSON does not have is text.
func TestValues(t *testing.T) {
	d := newDesk(t, ok)
	typ := func(k change.Kind) change.Type { return change.Type{Kind: k, Mod: -1} }
	ints, texts := typ(change.Int4), typ(change.TextLike)
	values := []struct {
		typ        change.Type
		text, want string
	}{
		{typ(change.Int8), "9223372036854775807", "9223372036854775807"},
		{typ(change.Numeric), "-123456789012345678901234567890.1234567890", "-123456789012345678901234567890.1234567890"},
		{typ(change.Numeric), "NaN", `"NaN"`},
		{typ(change.Float8), "1.7976931348623157e+308", "1.7976931348623157e+308"},
		{typ(change.Float8), "-Infinity", `"-Infinity"`},
		{typ(change.Bool), "t", "true"},
		{typ(change.JSONB), `{"a": 1.10, "b": [12345678901234567890]}`, `{"a": 1.10, "b": [12345678901234567890]}`},
		{typ(change.TimestampTZ), "2024-01-31 12:00:00.5+00", `"2024-01-31T12:00:00.5Z"`},
		{typ(change.Timestamp), "2024-01-31 12:00:00", `"2024-01-31T12:00:00"`},
		{typ(change.TimestampTZ), "infinity", `"infinity"`},
		{typ(change.Timestamp), "0044-03-15 12:00:00 BC", `"0044-03-15 12:00:00 BC"`},
		{typ(change.Timestamp), "12024-01-31 12:00:00", `"12024-01-31 12:00:00"`},
		{change.Type{Kind: change.Array, Elem: &ints}, "[0:1]={{1,NULL},{3,4}}", "[[1,null],[3,4]]"},
		{change.Type{Kind: change.Array, Elem: &texts}, `{a,"NULL","b \"\\,}",""}`, `["a","NULL","b \"\\,}",""]`},
		{change.Type{Kind: change.Array, Elem: &texts}, `{}`, `[]`},
		{typ(change.Bytea), `\x00ff`, `"\\x00ff"`},
		{typ(change.Money), "$1.00", `"$1.00"`},
	}
	table := &change.Table{OID: 9, Schema: "public", Name: "notes", Key: []int{0}, Columns: []change.Column{{Name: "id", Type: ints}}}
	row, want := modelRow("1"), `{"id":1`
	for i, v := range values {
		table.Columns = append(table.Columns, change.Column{Name: fmt.Sprint("c", i), Type: v.typ})
		row = append(row, change.Value{Format: change.Text, Data: []byte(v.text)})
		want += fmt.Sprintf(`,"c%d":%s`, i, v.want)
	}
	r := rigged(t, broker(t), d.url, plainTable, "{}", nil)
	if err := r.apply(change.Change{Op: change.Create, Table: table, After: row}); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(d.asked[0], " /notes/1 ")
	if body != want+"}" || !json.Valid([]byte(body)) {
		t.Errorf("sent\n%s\nwant\n%s", body, want)
	}
}

// Teardown has the next start begin anew.
func TestTeardown(t *testing.T) {
	client := broker(t)
	d := newDesk(t, ok)
	r := rigged(t, client, d.url, plainTable, "{}", nil)
	if err := r.apply(put("1")); err != nil {
		t.Fatal(err)
	}
	other := newSink(t, client, d.url, plainTable, "{}", nil)
	if err := other.Teardown(context.Background()); !errors.Is(err, sink.ErrLeased) {
		t.Errorf("got %v while a process serves the sink", err)
	}
	if err := r.sink.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Teardown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if cp, err := r.sink.Resume(t.Context()); err != nil || cp.Commit != 0 {
		t.Errorf("resumed at %+v, %v", cp, err)
	}
}
