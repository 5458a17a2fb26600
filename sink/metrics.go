package sink

import "github.com/prometheus/client_golang/prometheus"

// Metrics are those of all sinks of a process.
type Metrics struct {
	latency  *prometheus.HistogramVec
	records  *prometheus.CounterVec
	recovery *prometheus.HistogramVec
	drift    *prometheus.GaugeVec
	lag      *prometheus.GaugeVec
	batches  *prometheus.CounterVec
	retries  *prometheus.CounterVec
	dropped  *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_sync_latency_seconds",
			Help:    "Commit at the source to commit at the destination, for each group with changes; snapshots are left out.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300},
		}, []string{"sink"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_sync_records_total",
			Help: "Changes by source table and result: applied (durable at the destination) or failed (in a batch that a permanent error ended).",
		}, []string{"sink", "table", "result"}),
		recovery: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_recovery_seconds",
			Help:    "A failure, or a restart, to having applied everything committed at the source up to then.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600},
		}, []string{"sink"}),
		drift: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_drift_records",
			Help: "Rows that differ from the source as last verified, by kind: missing, extra, different.",
		}, []string{"sink", "table", "kind"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_sink_applied_time_seconds",
			Help: "Source commit time of the last group applied, since 1970; time() minus it is the lag.",
		}, []string{"sink"}),
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_sink_batches_total",
			Help: "Batches applied, pieces of large groups included.",
		}, []string{"sink"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_sink_retries_total",
			Help: "Attempts that ended with an error that may pass.",
		}, []string{"sink"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_sink_cut_short_records_total",
			Help: "Records dropped because the group they belong to never ended.",
		}, []string{"sink"}),
	}
	reg.MustRegister(m.latency, m.records, m.recovery, m.drift, m.lag, m.batches, m.retries, m.dropped)
	return m
}

// CutShort gives the counter of records of the sink's groups that were dropped since they never ended.
func (m *Metrics) CutShort(sink string) prometheus.Counter { return m.dropped.WithLabelValues(sink) }
