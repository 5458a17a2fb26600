package http

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are those of all sinks of this kind in a process. A nil one counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	retries  *prometheus.CounterVec
	waits    *prometheus.CounterVec
	kept     *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		requests: counter("sluice_http_requests_total", "Requests by destination table and class of the answer's status: 2xx, 3xx, 4xx, 5xx, or none when there was no answer.", "sink", "table", "status"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sluice_http_request_seconds", Help: "A request's time until its answer was read.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"sink"}),
		retries: counter("sluice_http_retries_total", "Requests that were made again because the one before may succeed later.", "sink", "table"),
		waits:   counter("sluice_http_rate_limited_seconds_total", "Time that calls were kept back by the sink's rate, or because the API asked for it (Retry-After), added up over calls.", "sink"),
		kept:    counter("sluice_http_unswept_total", "Repairs after a gap whose deletions the API was not told of, since it cannot be asked what it has.", "sink", "table"),
	}
	reg.MustRegister(m.requests, m.seconds, m.retries, m.waits, m.kept)
	return m
}

func (m *Metrics) request(sink, table string, status int, err error, took time.Duration) {
	if m == nil {
		return
	}
	class := "none"
	if err == nil {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.requests.WithLabelValues(sink, table, class).Inc()
	m.seconds.WithLabelValues(sink).Observe(took.Seconds())
}

func (m *Metrics) retry(sink, table string) {
	if m != nil {
		m.retries.WithLabelValues(sink, table).Inc()
	}
}

func (m *Metrics) unswept(sink, table string) {
	if m != nil {
		m.kept.WithLabelValues(sink, table).Inc()
	}
}

// limited gives what counts the waits of a sink.
func (m *Metrics) limited(sink string) func(time.Duration) {
	if m == nil {
		return func(time.Duration) {}
	}
	c := m.waits.WithLabelValues(sink)
	return func(d time.Duration) { c.Add(d.Seconds()) }
}
