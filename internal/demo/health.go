package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// health shows the four figures as the running process has them in /metrics.
func (st *stage) health(ctx context.Context, s *screen) error {
	m, err := st.figures(ctx, s)
	if err != nil {
		return err
	}
	s.heading("Four figures of health (http://" + st.places.Console + "/metrics)")
	s.blank()
	latency := m.histogram("sluice_sync_latency_seconds")
	s.fact("latency", fmt.Sprintf("half within %s, 95 in 100 within %s, commit to commit, %s transactions",
		upTo(latency.quantile(0.5)), upTo(latency.quantile(0.95)), thousands(int64(latency.count))))
	applied, failed := m.sum("sluice_sync_records_total", `result="applied"`), m.sum("sluice_sync_records_total", `result="failed"`)
	s.fact("success", fmt.Sprintf("%s changes applied, %s failed", thousands(int64(applied)), thousands(int64(failed))))
	s.fact("drift", fmt.Sprintf("%s rows known to differ (compared below)", thousands(int64(m.sum("sluice_drift_records", "")))))
	recovery := m.histogram("sluice_recovery_seconds")
	if recovery.count > 0 {
		s.fact("recovery", fmt.Sprintf("caught up within %s of noticing that its connection was gone", upTo(recovery.quantile(1))))
	} else {
		s.fact("recovery", "not measured yet")
	}
	return nil
}

// recoveryTime bounds the wait for the figure of the recovery: it stands when a commit that is younger
// than the failure has arrived, and heartbeats are a second apart.
const recoveryTime = 5 * time.Second

// figures reads the metrics, once the recovery is among them.
func (st *stage) figures(ctx context.Context, s *screen) (m samples, err error) {
	late := time.Now().Add(recoveryTime)
	tick := time.NewTicker(rewriteEvery)
	defer tick.Stop()
	for {
		m, err = scrape(ctx, "http://"+st.places.Console+"/metrics")
		if err != nil || m.sum("sluice_recovery_seconds_count", "") > 0 || time.Now().After(late) {
			return m, err
		}
		s.waiting("waiting for the next heartbeat ...")
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// upTo names the upper bound of a bucket.
func upTo(seconds float64) string {
	if math.IsInf(seconds, 1) || math.IsNaN(seconds) {
		return "longer than measured"
	}
	return millis(time.Duration(seconds * float64(time.Second)))
}

// samples are the lines of a Prometheus text exposition: name with labels to value.
type samples map[string]float64

// scrapeTime bounds one look at the metrics.
const scrapeTime = 3 * time.Second

func scrape(ctx context.Context, url string) (samples, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the metrics: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the metrics: %w", err)
	}
	defer resp.Body.Close()
	return parse(resp.Body)
}

func parse(r io.Reader) (samples, error) {
	m := samples{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if v, err := strconv.ParseFloat(line[cut+1:], 64); err == nil {
			m[line[:cut]] = v
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the metrics: %w", err)
	}
	return m, nil
}

// sum adds the series of a name whose labels hold a text.
func (m samples) sum(name, label string) float64 {
	total := 0.0
	for series, v := range m {
		if n, labels, _ := strings.Cut(series, "{"); n == name && strings.Contains(labels, label) {
			total += v
		}
	}
	return total
}

// histogram is a cumulative histogram of one series, or of several added up.
type histogram struct {
	count   float64
	buckets map[float64]float64 // by upper bound
}

func (m samples) histogram(name string) histogram {
	h := histogram{count: m.sum(name+"_count", ""), buckets: map[float64]float64{}}
	for series, v := range m {
		n, labels, _ := strings.Cut(series, "{")
		_, bound, ok := strings.Cut(labels, `le="`)
		if n != name+"_bucket" || !ok {
			continue
		}
		bound, _, _ = strings.Cut(bound, `"`)
		if le, err := strconv.ParseFloat(bound, 64); err == nil {
			h.buckets[le] += v
		}
	}
	return h
}

// quantile gives the upper bound of the bucket that holds it.
func (h histogram) quantile(q float64) float64 {
	best := math.Inf(1)
	for le, n := range h.buckets {
		if n >= q*h.count && le < best {
			best = le
		}
	}
	return best
}
