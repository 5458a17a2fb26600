package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const answered = `{"source": "crm", "version": "1.2.3",
	"capture": {"state": "streaming", "confirmed_lsn": "0/1A", "durable_lsn": "0/1B", "lag_seconds": 0.5, "slot": {"name": "sluice_crm", "wal_bytes": 20971520}},
	"sinks": {"billing": {"state": "held", "reason": "held at table a", "applied_lsn": "0/1B", "applied_time": "2026-01-02T03:04:05.678Z", "lag_seconds": 90.4, "complete": true, "parked": 3},
		"shop": {"state": "running", "applied_lsn": "0/0", "lag_seconds": 1, "complete": false, "foreign_writes": 12,
			"last_foreign_write": {"at": "2026-01-02T03:04:05.678Z", "table": "public.customers", "operation": "UPDATE", "rows": 2, "login": "clerk"}}}}`

// awaiting is the answer of a sink that has waited for rows for so long.
func awaiting(since time.Duration) string {
	return strings.Replace(answered, `"parked": 3`, fmt.Sprintf(`"parked": 3, "awaited": [{"table": "public.deals", "rows": 7, "since": %q}]`,
		time.Now().Add(-since).Format(time.RFC3339Nano)), 1)
}

func TestStatusTable(t *testing.T) {
	says := answered
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/status" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, says)
	}))
	defer server.Close()
	file := writeConfig(t, strings.Replace(minimal, "127.0.0.1:1\"}", strings.TrimPrefix(server.URL, "http://")+"\", sink_listen: \"127.0.0.1:1\"}", 1))
	r := command(t.Context(), "status", "-c", file)
	want := `PART           STATE       LAG     POSITION         
capture crm    streaming   500ms   confirmed 0/1A   slot sluice_crm holds 20 MiB of log
sink billing   held        1m30s   applied 0/1B     of 2026-01-02 03:04:05.678Z, 3 records parked: held at table a
sink shop      running     1s      applied 0/0      first snapshot under way, 12 foreign writes, last UPDATE of public.customers by clerk at 2026-01-02T03:04:05Z
`
	if r.code != exitDone || r.out != want {
		t.Errorf("exit %d, prints\n%swant\n%s%s", r.code, r.out, want, r.err)
	}
	if r := command(t.Context(), "status", "--json", "-c", file); !json.Valid([]byte(r.out)) || !strings.Contains(r.out, `"wal_bytes":20971520`) {
		t.Errorf("as JSON it prints\n%s", r.out)
	}
	says = awaiting(2 * time.Hour)
	out := strings.Join(strings.Fields(command(t.Context(), "status", "-c", file).out), " ")
	for _, part := range []string{"not complete: it waits for rows, 3 records parked", "awaited billing public.deals 2h0m0s 7 rows of which values did not travel", "await/billing/"} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is not in %s", part, out)
		}
	}
	if strings.Count(out, "first snapshot under way") != 1 {
		t.Errorf("prints %s", out)
	}
}

// What answers at the address need not be sluice.
func TestStatusOfAnotherProgram(t *testing.T) {
	for body, status := range map[string]int{"<html>": http.StatusOK, "no": http.StatusNotFound, "[1]": http.StatusOK, "": http.StatusOK} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		if s, err := ask(t.Context(), strings.TrimPrefix(server.URL, "http://")); err == nil {
			t.Errorf("%q is taken for %+v", body, s)
		}
		server.Close()
	}
}

func TestUnits(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "0.977 KiB", 1 << 20: "1 MiB", 20 << 30: "20 GiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
	for seconds, want := range map[float64]string{0: "0s", 0.0123: "12ms", 75.4: "1m15s", 7322: "2h2m0s"} {
		if got := lag(seconds); got != want {
			t.Errorf("%v seconds are %q, want %q", seconds, got, want)
		}
	}
}

func TestReachable(t *testing.T) {
	for in, want := range map[string]string{"127.0.0.1:1": "127.0.0.1:1", ":1": "127.0.0.1:1", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "127.0.0.1:1", "db:1": "db:1"} {
		if got := reachable(in); got != want {
			t.Errorf("%s is reached at %s, want %s", in, got, want)
		}
	}
}

func TestShares(t *testing.T) {
	s := divide(256<<20, 1)
	if s.received != 2<<20 || s.produced != 8<<20 || s.copied != 16<<20 || s.fetched != 16<<20 || s.batch != 4<<20 {
		t.Errorf("256 MiB are divided as %+v", s)
	}
	for _, sinks := range []int{0, 1, 7} {
		s := divide(256<<20, sinks)
		if sum := s.received + s.produced + s.copied + sinks*(s.fetched+2*s.batch); sum > 256<<20/3 {
			t.Errorf("%d sinks: %+v adds up to %d", sinks, s, sum)
		}
	}
}

func TestLateness(t *testing.T) {
	if late(maxLag.Seconds()) || !late((maxLag + time.Second).Seconds()) {
		t.Errorf("late begins elsewhere than after %s", maxLag)
	}
}
