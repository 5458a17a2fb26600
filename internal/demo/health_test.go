package demo

import (
	"math"
	"strings"
	"testing"
	"time"
)

const exposition = `# HELP sluice_sync_latency_seconds ...
# TYPE sluice_sync_latency_seconds histogram
sluice_sync_latency_seconds_bucket{sink="a",le="0.01"} 50
sluice_sync_latency_seconds_bucket{sink="a",le="0.025"} 94
sluice_sync_latency_seconds_bucket{sink="a",le="0.05"} 100
sluice_sync_latency_seconds_bucket{sink="a",le="+Inf"} 100
sluice_sync_latency_seconds_sum{sink="a"} 1.5
sluice_sync_latency_seconds_count{sink="a"} 100
sluice_sync_records_total{result="applied",sink="a",table="t"} 7
sluice_sync_records_total{result="applied",sink="a",table="u"} 5
sluice_sync_records_total{result="failed",sink="a",table="t"} 1
odd line
`

func TestFigures(t *testing.T) {
	m, err := parse(strings.NewReader(exposition))
	if err != nil {
		t.Fatal(err)
	}
	h := m.histogram("sluice_sync_latency_seconds")
	if h.count != 100 || h.quantile(0.5) != 0.01 || h.quantile(0.95) != 0.05 {
		t.Errorf("count %v, quantiles %v and %v", h.count, h.quantile(0.5), h.quantile(0.95))
	}
	if a, f := m.sum("sluice_sync_records_total", `result="applied"`), m.sum("sluice_sync_records_total", `result="failed"`); a != 12 || f != 1 {
		t.Errorf("%v applied, %v failed", a, f)
	}
	if q := m.histogram("absent").quantile(0.5); !math.IsInf(q, 1) {
		t.Errorf("quantile of nothing is %v", q)
	}
}

func TestScreenText(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{1234 * time.Microsecond: "1.2 ms", 250 * time.Millisecond: "250 ms"} {
		if got := millis(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

// A plain log holds no escape codes, and a terminal's waiting line is cleared by the next one.
func TestScreenModes(t *testing.T) {
	var plain, live strings.Builder
	for _, s := range []*screen{{out: &plain}, {out: &live, colour: true, live: true}} {
		s.title("t")
		s.waiting("w")
		s.change("c", "select 1;\nselect 2")
		s.arrived("a", time.Millisecond)
		s.verdict(true, time.Second)
	}
	if strings.ContainsAny(plain.String(), "\x1b\r") || strings.Contains(plain.String(), "w\n") {
		t.Errorf("the plain form is %q", plain.String())
	}
	if !strings.Contains(live.String(), "\r\x1b[K  \x1b[2mw\x1b[0m\r\x1b[K") {
		t.Errorf("the terminal's form is %q", live.String())
	}
}
