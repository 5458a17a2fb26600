package kafka

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what producers and readers do, by batch and request. A nil one counts nothing.
type Metrics struct {
	records  prometheus.Counter
	bytes    prometheus.Counter
	retries  prometheus.Counter
	seconds  prometheus.Histogram
	received prometheus.Counter
}

// NewMetrics registers the series; all begin at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		records: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_kafka_produced_records_total",
			Help: "Records acknowledged by all replicas in sync, tombstones and END records included."}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_kafka_produced_bytes_total",
			Help: "Bytes of the record batches that were acknowledged."}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_kafka_produce_retries_total",
			Help: "Record batches that had to be sent again."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sluice_kafka_produce_seconds",
			Help:    "Time from sending a produce request to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}), // 0.5 ms to 16 s
		received: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_kafka_fetched_bytes_total",
			Help: "Bytes of the record batches that were fetched."}),
	}
	reg.MustRegister(m.records, m.bytes, m.retries, m.seconds, m.received)
	return m
}

func (m *Metrics) produced(records, bytes int) {
	if m != nil {
		m.records.Add(float64(records))
		m.bytes.Add(float64(bytes))
	}
}

func (m *Metrics) retried() {
	if m != nil {
		m.retries.Inc()
	}
}

func (m *Metrics) answered(d time.Duration) {
	if m != nil {
		m.seconds.Observe(d.Seconds())
	}
}

func (m *Metrics) fetched(bytes int) {
	if m != nil {
		m.received.Add(float64(bytes))
	}
}
