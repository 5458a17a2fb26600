package http_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/http"
	"github.com/sluicecdc/sluice/transform"
)

// A seeded history reaches an API that is slow, refuses, cuts connections after accepting, is handed calls twice, answers
// nonsense and hangs, through processes that die and groups that are read again in other batches. HTTP_SEED replays the
// history.
func TestMisbehavingAPI(t *testing.T) {
	eachMode(t, 0, func(_ *testing.T, _ *kafka.Client, d *driver) {
		d.run()
		d.verdict()
	})
}

// eachMode runs a test over a history for each way of calling; from keeps the histories of tests apart.
func eachMode(t *testing.T, from uint64, run func(*testing.T, *kafka.Client, *driver)) {
	seed := rand.Uint64()
	if s := os.Getenv("HTTP_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	client := broker(t)
	for i, mode := range []struct {
		name   string
		every  bool
		upsert bool
	}{{"last state, upsert", false, true}, {"last state, create and update", false, false}, {"every change, upsert", true, true}, {"every change, create and update", true, false}} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			t.Logf("HTTP_SEED=%d", seed)
			d := newDriver(t, client, rand.New(rand.NewPCG(seed, from+uint64(i))), mode.every, mode.upsert)
			run(t, client, d)
		})
	}
}

// newDriver gives one for a history, with an API of its own.
func newDriver(t *testing.T, client *kafka.Client, r *rand.Rand, every, upsert bool) *driver {
	t.Helper()
	s := newStore(t, client)
	s.source = harness.Unique("model")
	s.lease = http.Lease{Beat: 50 * time.Millisecond, Hold: 300 * time.Millisecond, Take: 450 * time.Millisecond}
	d := &driver{t: t, r: r, h: newHistory(r, 90)}
	d.api = newFaulty(r.Uint64())
	server := httptest.NewServer(d.api)
	t.Cleanup(server.Close)
	s.url = server.URL
	d.source = s.source
	d.open = func() *http.Sink {
		return s.open(t, modelTables(t), modelConfig(t, server.URL, every, upsert))
	}
	return d
}

func modelTables(t *testing.T) []sink.Table {
	t.Helper()
	where := &transform.Expression{Text: "name != 'out'"}
	return []sink.Table{
		{From: "public.items", To: "api.items", Columns: transform.Plain("id", "id", "label", "name", "note", "note"), Where: where, Deletes: sink.Deletes{Policy: sink.DeleteHard}},
		{From: "public.notes", To: "public.notes", Deletes: sink.Deletes{Policy: sink.DeleteHard}},
	}
}

func modelConfig(t *testing.T, url string, every, upsert bool) http.Config {
	t.Helper()
	ok, err := http.NewAccept("status == 404 || body.ok")
	if err != nil {
		t.Fatal(err)
	}
	c := http.Config{URL: url, Timeout: 400 * time.Millisecond, Concurrency: 4}
	for _, name := range []string{"items", "notes"} {
		row := &http.Call{Path: path(t, "/"+name+"/{id}"), Accept: &ok}
		table := http.Table{Patch: row, Delete: &http.Call{Path: row.Path, Accept: &ok, Done: []int{404}}}
		if upsert {
			table.Upsert = row
		} else {
			table.Create, table.Update = &http.Call{Path: path(t, "/"+name), Accept: &ok}, row
		}
		if every {
			table.Changes = http.ChangesEvery
		}
		c.Tables = append(c.Tables, table)
	}
	return c
}

var (
	modelInt  = change.Type{OID: 23, Mod: -1, Name: "integer", Kind: change.Int4}
	modelText = change.Type{OID: 25, Mod: -1, Name: "text", Kind: change.TextLike}
	// items travels with its whole old row, notes with its key only and without TOASTed values that stay.
	modelItems = &change.Table{OID: 1, Schema: "public", Name: "items", Identity: change.IdentityFull, Key: []int{0},
		Columns: []change.Column{{Name: "id", Type: modelInt}, {Name: "name", Type: modelText}, {Name: "note", Type: modelText}}}
	modelNotes = &change.Table{OID: 2, Schema: "public", Name: "notes", Identity: change.IdentityDefault, Key: []int{0}, Columns: modelItems.Columns}
)

// history is what the source committed.
type history struct {
	r       *rand.Rand
	groups  [][]change.Change
	rows    map[*change.Table]map[int][]string // as they are at the end
	changes int
	n       int
}

func newHistory(r *rand.Rand, groups int) *history {
	h := &history{r: r, rows: map[*change.Table]map[int][]string{modelItems: {}, modelNotes: {}}}
	for g := range groups {
		size := 1 + r.IntN(6)
		if r.IntN(20) == 0 {
			size = 40
		}
		var cs []change.Change
		for len(cs) < size {
			cs = append(cs, h.change()...)
		}
		for i := range cs {
			cs[i].Commit, cs[i].Ordinal = change.LSN(100*(g+1)), int64(i+1)
		}
		h.groups = append(h.groups, cs)
		h.changes += len(cs)
	}
	return h
}

func (h *history) change() []change.Change {
	h.n++
	t := []*change.Table{modelItems, modelNotes}[h.r.IntN(2)]
	id := h.r.IntN(12)
	now := []string{strconv.Itoa(id), fmt.Sprintf("name %d", h.n), fmt.Sprintf("note %d", h.n)}
	if t == modelItems && (h.r.IntN(3) == 0 || id >= 10) { // the last two never match
		now[1] = "out"
	}
	old, there := h.rows[t][id]
	if !there {
		h.rows[t][id] = now
		return []change.Change{{Op: change.Create, Table: t, After: modelRow(now...)}}
	}
	switch h.r.IntN(4) {
	case 0:
		delete(h.rows[t], id)
		return []change.Change{{Op: change.Delete, Table: t, Before: before(t, old), BeforeKind: kindOf(t)}}
	case 1:
		to := h.r.IntN(10)
		if _, taken := h.rows[t][to]; !taken && id < 10 {
			return h.move(t, id, to, old, now)
		}
	}
	c := change.Change{Op: change.Update, Table: t, After: modelRow(now...)}
	if t == modelItems {
		c.Before, c.BeforeKind = modelRow(old...), change.BeforeFull
	} else if h.r.IntN(2) == 0 {
		now[2] = old[2]
		c.After[2] = change.Value{Format: change.Unchanged}
	}
	h.rows[t][id] = now
	return []change.Change{c}
}

func (h *history) move(t *change.Table, id, to int, old, now []string) []change.Change {
	now[0] = strconv.Itoa(to)
	delete(h.rows[t], id)
	h.rows[t][to] = now
	return []change.Change{
		{Op: change.Delete, Table: t, Before: before(t, old), BeforeKind: kindOf(t), OtherKey: keyRow(now[0])},
		{Op: change.Create, Table: t, After: modelRow(now...), OtherKey: keyRow(old[0])},
	}
}

func kindOf(t *change.Table) change.BeforeKind {
	if t == modelItems {
		return change.BeforeFull
	}
	return change.BeforeKey
}

func before(t *change.Table, old []string) change.Row {
	if t == modelItems {
		return modelRow(old...)
	}
	return keyRow(old[0])
}

func modelRow(values ...string) change.Row {
	var row change.Row
	for _, v := range values {
		row = append(row, change.Value{Format: change.Text, Data: []byte(v)})
	}
	return row
}

func keyRow(id string) change.Row { return append(modelRow(id), change.Value{}, change.Value{}) }

// driver plays the part of the runner, with deaths.
type driver struct {
	t                *testing.T
	r                *rand.Rand
	h                *history
	api              *faulty
	source           string
	open             func() *http.Sink
	before           func(sink.Sink) (all sink.Sink, die func()) // what stands before the sink; nil for nothing
	deaths, attempts int
}

// verdict compares, and shows what was wrong on the way.
func (d *driver) verdict() {
	d.t.Helper()
	f := d.api
	d.t.Logf("%d changes in %d groups; %d calls, %d executed, %d refused, %d deaths, %d attempts, faults %v",
		d.h.changes, len(d.h.groups), f.calls, len(f.bodies), len(f.refusals), d.deaths, d.attempts, f.faults)
	for _, v := range f.violations {
		d.t.Error(v)
	}
	f.want(d.t, d.h)
}

func (d *driver) run() {
	last := d.h.groups[len(d.h.groups)-1][0].Commit
	for at := change.LSN(0); at < last; {
		at = d.life(last)
	}
}

// life is that of one process. It gives the checkpoint that was reached.
func (d *driver) life(last change.LSN) (at change.LSN) {
	d.t.Helper()
	dest := d.open()
	mapped, err := sink.Mapped(dest, &sink.Config{Tables: modelTables(d.t)})
	if err != nil {
		d.t.Fatal(err)
	}
	lost := func() {}
	if d.before != nil {
		mapped, lost = d.before(mapped)
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	dying, die := context.WithCancel(ctx)
	defer die()
	if d.r.IntN(8) > 0 {
		death := time.AfterFunc(time.Duration(400+d.r.IntN(1200))*time.Millisecond, die)
		defer death.Stop()
	}
	for {
		d.attempts++
		cp, err := mapped.Resume(dying)
		if err == nil {
			at = cp.Commit
			err = d.feed(dying, mapped, &at)
		}
		switch {
		case dying.Err() != nil:
			d.deaths++
			dest.Kill()
			lost()
			return at
		case err == nil:
			if err := mapped.Close(); err != nil {
				d.t.Fatal(err)
			}
			return at
		case errors.Is(err, sink.ErrLeased):
			time.Sleep(20 * time.Millisecond)
		case !sink.Retryable(err):
			d.t.Fatal(err)
		}
	}
}

// feed gives what is behind the checkpoint in batches of any size, a large group in pieces.
func (d *driver) feed(ctx context.Context, dest sink.Sink, at *change.LSN) error {
	rest := slices.DeleteFunc(slices.Clone(d.h.groups), func(g []change.Change) bool { return g[0].Commit <= *at })
	for len(rest) > 0 {
		n := 1 + d.r.IntN(min(8, len(rest)))
		if len(rest[0]) >= 40 && d.r.IntN(2) == 0 {
			n = 1
			cut := 1 + d.r.IntN(len(rest[0])-1)
			if rest[0][cut-1].OtherKey != nil && rest[0][cut-1].Op == change.Delete {
				cut-- // the halves stay together
			}
			if cut > 0 {
				if err := dest.Apply(ctx, &sink.Batch{Changes: slices.Clone(rest[0][:cut]), Open: true}); err != nil {
					return err
				}
				rest = append([][]change.Change{rest[0][cut:]}, rest[1:]...)
			}
		}
		b := &sink.Batch{Changes: slices.Concat(rest[:n]...), Groups: n}
		b.Checkpoint = sink.Checkpoint{Commit: rest[n-1][0].Commit, Complete: true, Offsets: map[string]map[int32]int64{"t": {0: int64(rest[n-1][0].Commit)}}}
		if err := dest.Apply(ctx, b); err != nil {
			return err
		}
		*at, rest = b.Checkpoint.Commit, rest[n:]
	}
	return nil
}

// faulty is an API that knows idempotency keys and misbehaves.
type faulty struct {
	mu         sync.Mutex
	r          *rand.Rand
	rows       map[string]map[string]string // by path of the row
	bodies     map[string]string            // of executed calls, by idempotency key
	answers    map[string]int
	newest     map[string]change.Position // of executed calls, by path
	strict     bool                       // some rows are refused, see refuses
	refusals   map[string]string          // of refused calls, by idempotency key
	calls      int
	faults     map[string]int
	violations []string
}

func newFaulty(seed uint64) *faulty {
	return &faulty{r: rand.New(rand.NewPCG(seed, 2)), rows: map[string]map[string]string{}, bodies: map[string]string{}, answers: map[string]int{},
		newest: map[string]change.Position{}, faults: map[string]int{}, refusals: map[string]string{}}
}

func (f *faulty) draw() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	fault := map[int]string{0: "slow", 1: "429", 2: "500", 3: "cut before", 4: "cut after", 5: "twice", 6: "nonsense", 7: "503", 8: "hang", 9: "429 date"}[f.r.IntN(60)]
	f.faults[fault]++
	return fault
}

// ServeHTTP implements http.Handler.
func (f *faulty) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch f.draw() {
	case "slow":
		time.Sleep(30 * time.Millisecond)
	case "429":
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(429)
		return
	case "429 date":
		w.Header().Set("Retry-After", time.Now().UTC().Format(nethttp.TimeFormat))
		w.WriteHeader(429)
		return
	case "500":
		w.WriteHeader(500)
		return
	case "503":
		w.WriteHeader(503)
		return
	case "cut before":
		cut(w)
		return
	case "cut after":
		f.execute(r, string(body))
		cut(w)
		return
	case "hang":
		<-r.Context().Done()
		return
	case "nonsense":
		f.execute(r, string(body))
		fmt.Fprint(w, "<html>hello</html>")
		return
	case "twice": // somebody in between delivers it twice
		f.execute(r, string(body))
	}
	w.WriteHeader(f.execute(r, string(body)))
	fmt.Fprint(w, `{"ok": true}`)
}

func cut(w nethttp.ResponseWriter) {
	if conn, _, err := w.(nethttp.Hijacker).Hijack(); err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

// execute does a call once, and answers the same when it comes again.
func (f *faulty) execute(r *nethttp.Request, body string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, call := r.Header.Get("Idempotency-Key"), r.Method+" "+r.URL.Path+" "+body
	if known, ok := f.bodies[id]; ok {
		if known != call {
			f.violate("the key %s stands for %q and for %q", id, known, call)
		}
		return f.answers[id]
	}
	var sent map[string]any
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&sent); body != "" && err != nil {
		f.violate("%s: %v", call, err)
	}
	if f.refuses(id, call, sent) {
		return 422
	}
	row := r.URL.Path
	if r.Method == nethttp.MethodPost {
		row += fmt.Sprint("/", sent["id"])
	}
	var at change.Position
	lsn, ordinal, _ := strings.Cut(r.Header.Get(http.PositionHeader), "+")
	at.Commit, _ = change.ParseLSN(lsn)
	at.Ordinal, _ = strconv.ParseInt(ordinal, 10, 64)
	if at.Compare(f.newest[row]) < 0 || at.Commit == 0 {
		f.violate("%s at %s comes after %s", call, at, f.newest[row])
	}
	if strings.HasPrefix(row, "/items/1") && len(row) > len("/items/1") || sent["label"] == "out" {
		f.violate("%s is of a row that does not match", call)
	}
	f.newest[row] = at
	f.bodies[id], f.answers[id] = call, f.change(r.Method, row, sent)
	return f.answers[id]
}

// refuses tells whether a call is refused, and goes on to refuse one that it knows.
func (f *faulty) refuses(id, call string, sent map[string]any) bool {
	known, before := f.refusals[id]
	if before && known != call {
		f.violate("the key %s stands for %q and for %q", id, known, call)
	}
	n := -1
	for _, name := range []string{"name", "label"} {
		if text, ok := sent[name].(string); ok {
			_, _ = fmt.Sscanf(text, "name %d", &n)
		}
	}
	if !before && (!f.strict || n < 0 || n%9 > 0) {
		return false
	}
	f.refusals[id] = call
	return true
}

// repair has the API refuse no more rows.
func (f *faulty) repair() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.strict = false
}

func (f *faulty) change(method, row string, sent map[string]any) int {
	old, there := f.rows[row]
	switch {
	case method == nethttp.MethodPost && there:
		return 409
	case method == nethttp.MethodDelete:
		delete(f.rows, row)
		return map[bool]int{true: 200, false: 404}[there]
	case method == nethttp.MethodPatch && !there:
		return 404
	case method == nethttp.MethodPut && !there && f.creates():
		return 404
	case method != nethttp.MethodPatch:
		old = map[string]string{}
	}
	next := maps.Clone(old)
	for name, v := range sent {
		next[name] = fmt.Sprint(v)
	}
	f.rows[row] = next
	return 200
}

// creates tells whether rows are made by POST, so that PUT wants one that is there.
func (f *faulty) creates() bool {
	for _, call := range f.bodies {
		if strings.HasPrefix(call, "POST") {
			return true
		}
	}
	return false
}

func (f *faulty) violate(format string, args ...any) {
	f.violations = append(f.violations, fmt.Sprintf(format, args...))
}

// want compares with what the source has.
func (f *faulty) want(t *testing.T, h *history) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	want := map[string]map[string]string{}
	for id, row := range h.rows[modelItems] {
		if row[1] != "out" {
			want[fmt.Sprint("/items/", id)] = map[string]string{"id": row[0], "label": row[1], "note": row[2]}
		}
	}
	for id, row := range h.rows[modelNotes] {
		want[fmt.Sprint("/notes/", id)] = map[string]string{"id": row[0], "name": row[1], "note": row[2]}
	}
	if !reflect.DeepEqual(f.rows, want) {
		t.Errorf("the API holds\n%v\nwant\n%v", f.rows, want)
	}
}
