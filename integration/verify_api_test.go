package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// newLooked is a deployment whose sink calls an API that can be asked for its rows.
func newLooked(t *testing.T, seed uint64, version int, change func(string) string) (*deployment, *billingAPI) {
	t.Helper()
	api := newBillingAPI(seed)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	d := newDeployment(t, version, []string{"public.customers", "public.staff"}, func(text string) string {
		text = strings.Replace(withAPI(text, server.URL), `delete: {path: "/customers/{id}"}`, `delete: {path: "/customers/{id}"}
        lookup: {path: "/customers/{id}"}`, 1)
		text = strings.Replace(text, `patch: {path: "/staff/{id}"}`, `patch: {path: "/staff/{id}"}
        lookup: {path: "/staff/{id}", present: "!has(body.active)", fields: {name: body.name}}`, 1)
		if change != nil {
			text = change(text)
		}
		return text
	})
	if err := os.WriteFile(filepath.Join(d.folder, "token"), []byte("t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.exec("create table customers (id bigint primary key, full_name text, stage text, balance numeric, tags text[], doc jsonb, seen timestamptz)",
		"alter table customers replica identity full", "create table staff (id int primary key, name text, photo text)")
	return d, api
}

// billedAlike wants the API to hold what the source does of the columns that the tests of lookups change.
func (d *deployment) billedAlike(api *billingAPI) {
	d.t.Helper()
	want := oneColumn(d.t, d.source, "select concat_ws(' ', id, to_json(full_name), balance) from customers where stage = 'won'")
	if got := api.column("customers", "id", "name", "balance"); !slices.Equal(want, got) {
		d.t.Errorf("the API holds %d customers, the source %d; first difference: %s", len(got), len(want), firstDifference(want, got))
	}
	want = oneColumn(d.t, d.source, "select concat_ws(' ', id, to_json(name)) from staff")
	if got := api.column("staff", "id", "name"); !slices.Equal(want, got) {
		d.t.Errorf("the API holds %d of the staff, the source %d; first difference: %s", len(got), len(want), firstDifference(want, got))
	}
	api.mu.Lock()
	defer api.mu.Unlock()
	for _, w := range api.wrong {
		d.t.Error(w)
	}
}

// Rows that an API refuses are parked and no drift: different ones, missing ones, and ones that should be gone. Other drift
// beside them is drift, and so is a row whose parked changes were dropped, until it is repaired or refused again.
func TestVerifyAPICountsParkedRowsApart(t *testing.T) {
	t.Parallel()
	d, api := newLooked(t, seedOf(t), 15, nil)
	d.exec("insert into customers select i, 'c' || i, 'won', i, '{}', '{}', now() from generate_series(1, 60) i", "insert into staff select i, 'n' || i from generate_series(1, 20) i")
	capture, sink := d.start("capture"), d.start("sink")
	d.served(time.Minute)
	found := func(status int, want ...string) {
		t.Helper()
		if _, rows := d.verify(status); !slices.Equal(rows, want) {
			t.Errorf("found\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
		}
	}

	api.refuse("unwanted")
	d.exec("update customers set full_name = 'unwanted' where id in (7, 10, 11)", "insert into customers values (61, 'unwanted', 'won', 61, '{}', '{}', now())",
		"update customers set id = 108, full_name = 'unwanted' where id = 8", "update staff set name = 'unwanted' where id in (7, 8)")
	d.served(time.Minute) // so that what follows is not collapsed with it
	d.exec("update customers set stage = 'lost' where id = 10")
	d.exec("update customers set full_name = 'c11' where id = 11") // as the API has it, by now
	api.edit(func(rows map[string]map[string]json.RawMessage) {    // parked all the same
		rows["/api/customers/7"]["name"] = json.RawMessage(`"tampered"`)
	})
	parked := []string{"billing.public.customers parked 10 ", "billing.public.customers parked 108 ", "billing.public.customers parked 61 ",
		"billing.public.customers parked 7 ", "billing.public.staff parked 7 ", "billing.public.staff parked 8 "}
	found(0, parked...)
	d.says([]string{"verify", "--log-level", "error"}, "parked billing: public.customers to public.customers: 4 parked (", "sluice dlq list billing")

	api.edit(func(rows map[string]map[string]json.RawMessage) {
		rows["/api/customers/20"]["name"] = json.RawMessage(`"edited"`)
		delete(rows, "/api/customers/21")
	})
	before := d.parked("billing")
	found(3, slices.Concat([]string{"billing.public.customers different 20 name", "billing.public.customers missing 21 "}, parked)...)
	says(t, d.fails(0, "verify", "--repair", "--log-level", "error"), "rows of public.customers are sent again")
	found(0, parked...)
	if after := d.parked("billing"); len(after) != len(before) {
		t.Errorf("parked before the repair\n%v\nand after\n%v", before, after)
	}

	// What is dropped is drift. Sent again it is parked again while the API refuses it, and there when it does not.
	d.says([]string{"dlq", "drop", "billing", "public.customers/id=7", "public.staff/id=7", "--yes"}, "2 changes are dropped")
	others := []string{"billing.public.customers parked 10 ", "billing.public.customers parked 108 ", "billing.public.customers parked 61 "}
	found(3, slices.Concat([]string{"billing.public.customers different 7 name"}, others, []string{"billing.public.staff different 7 name", "billing.public.staff parked 8 "})...)
	says(t, d.fails(0, "verify", "--repair", "--log-level", "error", "--table", "public.customers"), "rows of public.customers are sent again")
	if got := d.parked("billing")["public.customers/id=7"]; got.Changes != 1 {
		t.Errorf("what is sent again and refused again is parked: %+v", got)
	}
	api.refuse("")
	says(t, d.fails(0, "verify", "--repair", "--log-level", "error"), "rows of public.staff are sent again")
	found(0, parked[0], parked[1], parked[2], parked[3], parked[5])

	d.says([]string{"dlq", "replay", "billing", "--all"}, "changes are applied")
	found(0)
	d.billedAlike(api)
	d.stop(sink)
	d.stop(capture)
}

// While rows are parked at an API and replayed all the time nothing is ever called drift. SLUICE_SEED replays.
func TestVerifyAPIWhileParkedRowsComeAndGo(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 22))
	d, api := newLooked(t, seed, drawn(seed), func(text string) string {
		return strings.Replace(text, "    auth: {bearer_file: token}\n", "    auth: {bearer_file: token}\n    parking: {rows: 100000, share: 100%}\n", 1)
	})
	d.exec("insert into customers select i, 'c' || i, 'won', i, '{}', '{}', now() from generate_series(1, 200) i")
	capture, sink := d.start("capture"), d.start("sink")
	d.served(time.Minute)
	verified, parked := 0, int64(0)
	for range 5 {
		api.refuse("bad")
		id := 1 + random.IntN(150)
		d.exec(fmt.Sprintf("update customers set full_name = 'bad' where id between %d and %d", id, id+50), fmt.Sprintf("delete from customers where id = %d", id))
		d.served(time.Minute)
		d.exec(fmt.Sprintf("update customers set stage = case stage when 'won' then 'lost' else 'won' end where id between %d and %d", id+10, id+30),
			fmt.Sprintf("insert into customers values (%d, 'bad', 'won', 1, '{}', '{}', now()) on conflict (id) do update set full_name = 'bad again'", 1+random.IntN(250)))
		results, _ := d.verify(0)
		verified, parked = verified+1, parked+results["billing public.customers public.customers"].Parked
		api.refuse("")
		replay := d.start("dlq", "replay", "billing", "--all")
		for running := true; running; verified++ {
			d.exec(fmt.Sprintf("update customers set balance = balance + 1 where id %% 20 = %d", random.IntN(20)))
			d.verify(0)
			select {
			case <-replay.Done():
				running = false
			default:
			}
		}
	}
	t.Logf("verified %d times, %d rows were counted as parked", verified, parked)
	if parked == 0 {
		t.Error("no row was parked: nothing was shown")
	}
	d.served(time.Minute)
	d.says([]string{"dlq", "replay", "billing", "--all"})
	results, rows := d.verify(0)
	if r := results["billing public.customers public.customers"]; r.Parked+r.Undecided != 0 || len(rows) > 0 {
		t.Errorf("after the replay: %+v, %v", r, rows)
	}
	d.billedAlike(api)
	d.stop(sink)
	d.stop(capture)
}
