package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
)

// billingAPI keeps rows under their paths, knows idempotency keys, and now and then executes a call without answering.
type billingAPI struct {
	mu       sync.Mutex
	r        *rand.Rand
	rows     map[string]map[string]json.RawMessage
	made     map[string]string // calls by idempotency key
	newest   map[string]change.LSN
	unwanted string          // calls with it in their bodies are refused
	refused  map[string]bool // by idempotency key: a call that was refused stays so
	repeated int
	wrong    []string
}

// refuse has calls refused that hold a text; none for an empty one.
func (a *billingAPI) refuse(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unwanted = text
}

func newBillingAPI(seed uint64) *billingAPI {
	return &billingAPI{r: rand.New(rand.NewPCG(seed, 7)), rows: map[string]map[string]json.RawMessage{}, made: map[string]string{}, newest: map[string]change.LSN{}, refused: map[string]bool{}}
}

// ServeHTTP implements http.Handler.
func (a *billingAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return
	case r.Header.Get("Authorization") != "Bearer t0ken":
		w.WriteHeader(http.StatusUnauthorized)
		return
	case r.Method == http.MethodGet:
		a.show(w, r.URL.Path)
		return
	}
	time.Sleep(2 * time.Millisecond) // so that kills meet calls under way
	status, silent := a.take(r, string(body))
	if silent {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
		return
	}
	w.WriteHeader(status)
}

func (a *billingAPI) show(w http.ResponseWriter, path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	row, there := a.rows[path]
	if !there {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if err := json.NewEncoder(w).Encode(row); err != nil {
		a.wrong = append(a.wrong, err.Error())
	}
}

// edit is somebody at the API.
func (a *billingAPI) edit(f func(rows map[string]map[string]json.RawMessage)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a.rows)
}

func (a *billingAPI) take(r *http.Request, body string) (status int, silent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id, call := r.Header.Get("Idempotency-Key"), r.Method+" "+r.URL.Path+" "+body
	if known, ok := a.made[id]; ok {
		a.repeated++
		if known != call {
			a.wrong = append(a.wrong, fmt.Sprintf("key %s stands for %q and %q", id, known, call))
		}
		return http.StatusOK, false
	}
	if a.refused[id] || a.unwanted != "" && strings.Contains(body, a.unwanted) {
		a.refused[id] = true
		return http.StatusUnprocessableEntity, false
	}
	lsn, _, _ := strings.Cut(r.Header.Get("Sluice-Position"), "+")
	at, err := change.ParseLSN(lsn)
	if err != nil || at < a.newest[r.URL.Path] {
		a.wrong = append(a.wrong, fmt.Sprintf("%s at %q comes after %s", call, lsn, a.newest[r.URL.Path]))
	}
	a.made[id], a.newest[r.URL.Path] = call, at
	var sent map[string]json.RawMessage
	if body != "" && json.Unmarshal([]byte(body), &sent) != nil {
		a.wrong = append(a.wrong, call)
	}
	row, there := a.rows[r.URL.Path]
	switch {
	case r.Method == http.MethodDelete:
		delete(a.rows, r.URL.Path)
	case r.Method == http.MethodPatch && !there:
		return http.StatusNotFound, false
	case r.Method == http.MethodPatch:
		for name, value := range sent {
			row[name] = value
		}
	default:
		a.rows[r.URL.Path] = sent
	}
	return http.StatusOK, a.r.IntN(20) == 0
}

// column gives the rows of a table by one column of each, as JSON, sorted.
func (a *billingAPI) column(table string, names ...string) (out []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for path, row := range a.rows {
		if !strings.HasPrefix(path, "/api/"+table+"/") {
			continue
		}
		var values []string
		for _, name := range names {
			values = append(values, string(row[name]))
		}
		out = append(out, strings.Join(values, " "))
	}
	slices.Sort(out)
	return out
}

// A CRM reaches a billing system that only has an API, exactly as it is, while the sink is killed in the middle of its
// calls: conditions, values that did not travel, soft deletes, changed keys, and a row that the API never hears of.
func TestHTTP(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	d, api := newBilling(t, seed)
	if out, status := d.command("check"); status != 0 || !strings.Contains(out, "calls of table public.staff") {
		t.Errorf("check: exit %d with\n%s", status, out)
	}
	capture, sink := d.start("capture"), d.start("sink")
	eventually(t, time.Minute, "the first calls", func() bool { return api.count() > 0 })
	if out, _ := d.command("schema", "check-ddl", "alter table staff add column phone text"); !strings.Contains(out, "billing, table public.staff: sends rows in the new shape") {
		t.Errorf("check-ddl says\n%s", out)
	}
	random := rand.New(rand.NewPCG(seed, 99))
	for kill := range 3 {
		for range 60 {
			d.exec(crmStatement(random))
		}
		d.exec("update customers set balance = balance + 0.01", "update staff set name = name || '.'")
		if kill == 2 {
			break
		}
		made := api.count()
		eventually(t, time.Minute, "calls under way", func() bool { return api.count() > made+10 })
		sink.Kill()
		sink = d.start("sink")
	}
	d.billed(api)
	d.stop(sink)
	d.stop(capture)
}

// The process of the sink kills itself at each step of its calls. The next one makes the calls again that the API may have, the same
// ones, and the others for the first time.
func TestHTTPUnderKills(t *testing.T) {
	t.Parallel() // it waits most of its time, until the next process may take the sink over
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 78))
	path, err := mortal()
	if err != nil {
		t.Fatal(err)
	}
	d, api := newBilling(t, seed)
	capture, sink := d.start("capture"), d.start("sink")
	for _, point := range []string{"announced", "applied", "committed"} {
		d.served(time.Minute)
		d.stop(sink)
		dying := d.launch(path, []string{fmt.Sprintf("SLUICE_CRASH=%s@%d", point, 1+random.IntN(5))}, "sink")
		eventually(t, time.Minute, "the sink to be killed when it has "+point, func() bool {
			d.exec(crmStatement(random), "update staff set name = name || '.'")
			select {
			case <-dying.Done():
				return true
			default:
				return false
			}
		})
		sink = d.start("sink")
	}
	d.billed(api)
	d.stop(sink)
	d.stop(capture)
}

// newBilling is a CRM and a billing system with an API.
func newBilling(t *testing.T, seed uint64) (*deployment, *billingAPI) {
	t.Helper()
	api := newBillingAPI(seed)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	d := newDeployment(t, drawn(seed), []string{"public.customers", "public.staff"}, func(text string) string { return withAPI(text, server.URL) })
	if err := os.WriteFile(filepath.Join(d.folder, "token"), []byte("t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.exec("create table customers (id bigint primary key, full_name text, stage text, balance numeric, tags text[], doc jsonb, seen timestamptz, secret text)",
		"alter table customers replica identity full",
		"create table staff (id int primary key, name text, photo text)", "alter table staff alter photo set storage external",
		"insert into customers select 9007199254740993 + i, 'c' || i, case when i % 3 > 0 then 'won' end, i * 1.10, array['a', null, 'x,\"y'], jsonb_build_object('n', 12345678901234567890 + i), now(), 'never' from generate_series(1, 60) i",
		"insert into staff select i, 'n' || i, repeat(md5(i::text), 200) from generate_series(1, 40) i")
	return d, api
}

// billed waits until all calls are made, and wants the API to hold what the source does.
func (d *deployment) billed(api *billingAPI) {
	d.t.Helper()
	t := d.t
	d.served(90 * time.Second)
	api.report(t)
	want := oneColumn(t, d.source, `select concat_ws(' ', id, to_json(full_name), balance, array_to_json(tags), doc, '"' || replace(to_json(seen at time zone 'UTC')#>>'{}', '+00:00', '') || 'Z"') from customers where stage = 'won'`)
	if got := api.column("customers", "id", "name", "balance", "tags", "doc", "seen"); !slices.Equal(want, got) {
		t.Errorf("the API holds %d customers, the source %d that match; first difference: %s", len(got), len(want), firstDifference(want, got))
	}
	want = oneColumn(t, d.source, "select concat_ws(' ', id, to_json(name), to_json(photo)) from staff")
	got := slices.DeleteFunc(api.column("staff", "id", "name", "photo", "active"), func(row string) bool { return strings.HasSuffix(row, " false") })
	for i := range got {
		got[i] = strings.TrimSuffix(got[i], " ")
	}
	if !slices.Equal(want, got) {
		t.Errorf("the API holds %d active staff, the source %d; first difference: %s", len(got), len(want), firstDifference(want, got))
	}
}

func withAPI(text, url string) string {
	head, rest, _ := strings.Cut(text, "sinks:\n")
	_, tail, _ := strings.Cut(rest, "console:")
	return head + `sinks:
  billing:
    type: http
    url: ` + url + `/api
    auth: {bearer_file: token}
    tables:
      - from: public.customers
        columns: {id: id, name: full_name, balance: balance, tags: tags, doc: doc, seen: seen}
        where: stage == 'won'
        deletes: hard
        upsert: {path: "/customers/{id}"}
        delete: {path: "/customers/{id}"}
      - from: public.staff
        deletes: {soft: {active: false}}
        upsert: {path: "/staff/{id}"}
        patch: {path: "/staff/{id}"}
console:` + tail
}

// crmStatement gives something that happens in a CRM.
func crmStatement(r *rand.Rand) string {
	c, s := 9007199254740993+r.IntN(80), r.IntN(60)
	switch r.IntN(8) {
	case 0:
		return fmt.Sprintf("delete from customers where id = %d", c)
	case 1:
		return fmt.Sprintf("insert into customers values (%d, 'new \"%d\"', 'won', 123456789012345678901234567890.5, '{}', '[1.10]', '2024-01-31 12:00:00.5+00', 'never') on conflict (id) do update set stage = 'won'", c, s)
	case 2:
		return fmt.Sprintf("update customers set stage = case when stage = 'won' then 'lost' else 'won' end where id = %d", c)
	case 3:
		return fmt.Sprintf("update customers set id = id + 1000 where id = %d and not exists (select from customers where id = %d)", c, c+1000)
	case 4:
		return fmt.Sprintf("delete from staff where id = %d", s)
	case 5:
		return fmt.Sprintf("insert into staff values (%d, 'again', repeat('p', 3000)) on conflict (id) do update set name = 'again'", s)
	}
	return fmt.Sprintf("update staff set name = 'n%d' where id = %d", r.IntN(1000), s)
}

func (a *billingAPI) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.made)
}

func (a *billingAPI) report(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	t.Logf("%d calls executed, %d made again and recognised", len(a.made), a.repeated)
	for i, w := range a.wrong {
		if i == 10 {
			t.Fatal("and more")
		}
		t.Error(w)
	}
	if a.repeated == 0 {
		t.Error("no call was made again: nothing was shown")
	}
}

// served waits until the sink says that it has applied what is committed at the source now.
func (d *deployment) served(within time.Duration) {
	d.t.Helper()
	target, err := change.ParseLSN(scan[string](d.t, d.source, "select pg_current_wal_insert_lsn()::text"))
	if err != nil {
		d.t.Fatal(err)
	}
	eventually(d.t, within, "the sink to reach "+target.String(), func() bool {
		resp, err := http.Get("http://" + d.sinkConsole + "/api/status")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var status struct {
			Sinks map[string]struct {
				AppliedLSN change.LSN `json:"applied_lsn"`
				Complete   bool       `json:"complete"`
			} `json:"sinks"`
		}
		err = json.NewDecoder(resp.Body).Decode(&status)
		s := status.Sinks["billing"]
		return err == nil && s.Complete && s.AppliedLSN >= target
	})
}

// oneColumn gives a query's one column, sorted.
func oneColumn(t *testing.T, dsn, query string) []string {
	t.Helper()
	out := scan[[]string](t, dsn, "select array_agg(t) from ("+query+") q(t)")
	slices.Sort(out)
	return out
}

// What the API refuses of a row is parked with what follows of it, through a death and a replay that fails, while everything
// else flows. When the API is repaired it is replayed, and the API holds what the source does.
func TestHTTPParking(t *testing.T) {
	t.Parallel()
	api := newBillingAPI(seedOf(t))
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	d := newDeployment(t, 15, []string{"public.customers", "public.staff"}, func(text string) string { return withAPI(text, server.URL) })
	if err := os.WriteFile(filepath.Join(d.folder, "token"), []byte("t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.exec("create table customers (id bigint primary key, full_name text, stage text, balance numeric, tags text[], doc jsonb, seen timestamptz)",
		"alter table customers replica identity full", "create table staff (id int primary key, name text, photo text)",
		"insert into customers select i, 'c' || i, 'won', i, '{}', '{}' from generate_series(1, 50) i", "insert into staff select i, 'n' || i from generate_series(1, 50) i")
	capture, sink := d.start("capture"), d.start("sink")
	d.served(time.Minute)
	api.refuse("unwanted")

	d.exec("begin; update customers set full_name = 'unwanted' where id in (7, 8); update customers set full_name = 'fine' where id = 9; update staff set name = 'unwanted' where id = 7; commit")
	d.served(time.Minute) // so that what follows is not collapsed with it
	d.exec("update customers set balance = 700 where id = 7", "update customers set id = 108 where id = 8", "update customers set full_name = 'fine too' where id = 10")
	d.served(time.Minute)
	names := func() string { return strings.Join(api.column("customers", "id", "name", "balance"), ";") }
	says(t, names(), `7 "c7" 7;`, `8 "c8" 8;`, `9 "fine" 9`, `10 "fine too" 10;`)
	got := d.parked("billing")
	for key, want := range map[string]int{"public.customers/id=7": 2, "public.customers/id=8": 2, "public.customers/id=108": 1, "public.staff/id=7": 1} {
		if got[key].Changes != want {
			t.Errorf("%s: %+v, want %d changes", key, got[key], want)
		}
	}
	if r := got["public.customers/id=7"]; r.SQLState != "422" {
		t.Errorf("%+v", r)
	}
	d.says([]string{"dlq", "show", "billing", "public.customers/id=7"}, "PUT /customers/7: the API answered 422", "full_name = unwanted", "correct the API", "sluice dlq replay billing public.customers/id=7")
	says(t, d.fails(1, "dlq", "replay", "billing", "public.staff/id=7"), "0 changes are applied", "the API answered 422")

	sink.Kill()
	sink = d.start("sink")
	d.exec("update customers set balance = 701 where id = 7", "delete from customers where id = 11")
	d.served(time.Minute)
	if r := d.parked("billing")["public.customers/id=7"]; r.Changes != 3 {
		t.Errorf("after a restart: %+v", r)
	}
	api.refuse("")
	d.says([]string{"dlq", "replay", "billing", "--all"}, "7 changes are applied")
	d.exec("update customers set balance = balance + 1")
	d.served(time.Minute)
	want := oneColumn(t, d.source, "select concat_ws(' ', id, to_json(full_name), balance) from customers")
	if got := api.column("customers", "id", "name", "balance"); !slices.Equal(want, got) {
		t.Errorf("the API holds %d customers, the source %d; first difference: %s", len(got), len(want), firstDifference(want, got))
	}
	for i, w := range api.wrong {
		t.Error(i, w)
	}
	d.stop(sink)
	d.stop(capture)
}

// Rows of an API are verified by a lookup of each, while the source goes on changing; what somebody has edited there is found and
// sent again.
func TestVerifyAPI(t *testing.T) {
	t.Parallel()
	d, api := newLooked(t, seedOf(t), 15, nil)
	d.exec("insert into customers select i, 'c' || i, case when i % 3 > 0 then 'won' end, i * 1.10, array['a', null], jsonb_build_object('n', 12345678901234567890 + i), now() from generate_series(1, 600) i",
		"insert into staff select i, 'n' || i from generate_series(1, 50) i")
	capture, sink := d.start("capture"), d.start("sink")
	d.served(time.Minute)
	d.exec("delete from staff where id = 50")

	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
				d.exec(fmt.Sprintf("update customers set balance = balance + 1, stage = case when id %% 7 = 0 then null else stage end where id %% 50 = %d", n%50))
			}
		}
	})
	results, rows := d.verify(0)
	close(stop)
	writing.Wait()
	if r := results["billing public.customers public.customers"]; len(results) != 2 || r == nil || r.SourceRows < 300 || r.SourceRows > 400 || len(rows) > 0 {
		t.Errorf("%+v, %q", results, rows)
	}
	d.served(time.Minute)

	api.edit(func(rows map[string]map[string]json.RawMessage) {
		rows["/api/customers/1"]["name"] = json.RawMessage(`"edited"`)
		delete(rows, "/api/customers/4")
		rows["/api/customers/3"] = map[string]json.RawMessage{"id": json.RawMessage("3")}
		delete(rows, "/api/staff/7")
		rows["/api/staff/8"]["active"] = json.RawMessage("false")
	})
	_, rows = d.verify(3)
	want := []string{"billing.public.customers different 1 name", "billing.public.customers extra 3 ", "billing.public.customers missing 4 ", "billing.public.staff missing 7 ", "billing.public.staff missing 8 "}
	if !slices.Equal(rows, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	says(t, d.fails(3, "verify", "billing", "--repair"), "rows that only the API has were not looked for", "rows that do not belong are not removed from an API")
	api.edit(func(rows map[string]map[string]json.RawMessage) { delete(rows, "/api/customers/3") })
	d.verify(0)
	for _, w := range api.wrong {
		t.Error(w)
	}
	d.stop(sink)
	d.stop(capture)
}
