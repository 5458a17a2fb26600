package sink

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicecdc/sluice/internal/change"
)

// Metrics are those of all sinks of a process.
type Metrics struct {
	latency  *prometheus.HistogramVec
	records  *prometheus.CounterVec
	recovery *prometheus.HistogramVec
	drift    *prometheus.GaugeVec
	lag      *lagCollector
	batches  *prometheus.CounterVec
	retries  *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	held     *prometheus.GaugeVec
	heldRows *prometheus.GaugeVec
	skipped  *prometheus.CounterVec
	paused   *prometheus.GaugeVec
	late     *lagCollector
	awaited  *awaitedCollector
	foreign  *prometheus.CounterVec
	parked   *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		latency: histogram("sluice_sync_latency_seconds",
			"Commit at the source to commit at the destination, for each transaction with changes; snapshots are left out.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}),
		records: counter("sluice_sync_records_total",
			"Changes by source table and result: applied (durable at the destination), parked (set aside, see sluice dlq), failed (in a batch that stopped or held the sink).",
			"sink", "table", "result"),
		recovery: histogram("sluice_recovery_seconds",
			"A failure, or a restart, to having applied everything that was committed at the source by then.",
			[]float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}),
		drift: gauge("sluice_drift_records",
			"Rows that differ from the source as last verified, by kind: missing, extra, different.", "sink", "table", "kind"),
		lag: &lagCollector{sinks: map[string]func() float64{}, desc: prometheus.NewDesc("sluice_sink_lag_seconds",
			"Age of the source commit that the destination stands at, now; heartbeats keep it small when the source is idle.", []string{"sink"}, nil)},
		batches: counter("sluice_sink_batches_total", "Batches applied, pieces of large transactions included.", "sink"),
		retries: counter("sluice_sink_retries_total", "Attempts that ended with an error that may pass.", "sink"),
		dropped: counter("sluice_sink_cut_short_records_total", "Records dropped because the group that they belong to never ended.", "sink"),
	}
	m.held = gauge("sluice_sink_held", "1 while the sink waits at a change of the source table for a person, by reason: truncate, deletes and updates (the breaker), schema, values, lock (it cannot be locked), parked (changes of the table that it must not pass), capture (which holds the table itself).", "sink", "table", "reason")
	m.heldRows = gauge("sluice_sink_held_rows", "Rows that what holds the sink would remove or rewrite, 0 when nothing of the kind holds it.", "sink", "table", "reason")
	m.skipped = counter("sluice_sink_skipped_records_total", "Changes that were left out because a person had held ones skipped.", "sink", "table")
	m.parked = gauge("sluice_parked_records", "Changes that are set aside, because the destination refuses them or an earlier one of their row.", "sink", "table")
	m.paused = gauge("sluice_sink_paused", "1 while the sink is paused.", "sink")
	m.late = &lagCollector{sinks: map[string]func() float64{}, desc: prometheus.NewDesc("sluice_sink_late_seconds",
		"How far the sink is behind its schedule, which is its lag when it has none; 0 while it is paused.", []string{"sink"}, nil)}
	m.awaited = &awaitedCollector{
		sinks: map[string]func() []AwaitedTable{},
		rows: prometheus.NewDesc("sluice_awaited_records",
			"Rows of which values did not travel and that capture was asked for, by destination table.", []string{"sink", "table"}, nil),
		oldest: prometheus.NewDesc("sluice_awaited_oldest_seconds",
			"How long the oldest of these rows is waited for, now; 0 when there is none.", []string{"sink", "table"}, nil),
	}
	m.foreign = counter("sluice_foreign_writes_total", "Rows in synced columns of which others than the sink wrote, by destination table; a TRUNCATE counts as one.", "sink", "table")
	reg.MustRegister(m.latency, m.records, m.recovery, m.drift, m.lag, m.batches, m.retries, m.dropped, m.held, m.heldRows, m.skipped, m.paused, m.late, m.foreign, m.parked, m.awaited)
	return m
}

func histogram(name, help string, buckets []float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"sink"})
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

// skip counts changes that were left out.
func (m *Metrics) skip(sink, table string, n int64) {
	m.skipped.WithLabelValues(sink, table).Add(float64(n))
}

// park shows how many changes of a table are set aside.
func (m *Metrics) park(sink, table string, n int) {
	m.parked.WithLabelValues(sink, table).Set(float64(n))
}

// CutShort gives the counter of a sink's records that were dropped because their group never ended.
func (m *Metrics) CutShort(sink string) prometheus.Counter { return m.dropped.WithLabelValues(sink) }

// SetDrift shows what was found last of the tables of a sink.
func (m *Metrics) SetDrift(sink string, all []Drift) {
	sums := map[[2]string]int64{} // a table may have several destinations
	for i := range all {
		for kind, rows := range all[i].Kinds() {
			sums[[2]string{all[i].Table, kind}] += rows
		}
	}
	for labels, rows := range sums {
		m.drift.WithLabelValues(sink, labels[0], labels[1]).Set(float64(rows))
	}
}

// lagCollector asks for the lag when it is scraped, so that it grows while nothing is applied.
type lagCollector struct {
	desc  *prometheus.Desc
	mu    sync.Mutex
	sinks map[string]func() float64
}

func (l *lagCollector) watch(sink string, lag func() float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sinks[sink] = lag
}

// Describe implements prometheus.Collector.
func (l *lagCollector) Describe(out chan<- *prometheus.Desc) { out <- l.desc }

// Collect implements prometheus.Collector.
func (l *lagCollector) Collect(out chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for sink, lag := range l.sinks {
		out <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, lag(), sink)
	}
}

// awaitedCollector asks for the rows that are waited for when it is scraped, so that their age grows while nothing is
// applied.
type awaitedCollector struct {
	rows, oldest *prometheus.Desc
	mu           sync.Mutex
	sinks        map[string]func() []AwaitedTable
}

func (a *awaitedCollector) watch(sink string, tables func() []AwaitedTable) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sinks[sink] = tables
}

// Describe implements prometheus.Collector.
func (a *awaitedCollector) Describe(out chan<- *prometheus.Desc) {
	out <- a.rows
	out <- a.oldest
}

// Collect implements prometheus.Collector.
func (a *awaitedCollector) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for sink, tables := range a.sinks {
		for _, t := range tables() {
			age := 0.0
			if t.Rows > 0 {
				age = max(0, time.Since(t.Since).Seconds())
			}
			out <- prometheus.MustNewConstMetric(a.rows, prometheus.GaugeValue, float64(t.Rows), sink, t.Table)
			out <- prometheus.MustNewConstMetric(a.oldest, prometheus.GaugeValue, age, sink, t.Table)
		}
	}
}

// sinkMetrics are one sink's series, looked up once. The runner's goroutine uses them.
type sinkMetrics struct {
	latency, recovery         prometheus.Observer
	batches, retries, dropped prometheus.Counter
	records                   *prometheus.CounterVec
	held, heldRows            *prometheus.GaugeVec
	paused                    prometheus.Gauge
	foreign                   *prometheus.CounterVec
	name                      string
	tables                    map[string]*tableMetrics
	// A table's version changes seldom: last saves the look-up for a run of its changes.
	lastVersion *change.Table
	last        *tableMetrics
}

type tableMetrics struct {
	applied, parked, failed prometheus.Counter
	open, aside             int // changes of pieces whose group has not ended, and those of them that were parked
}

func newSinkMetrics(m *Metrics, cfg *Config) *sinkMetrics {
	s := &sinkMetrics{
		latency: m.latency.WithLabelValues(cfg.Name), recovery: m.recovery.WithLabelValues(cfg.Name),
		batches: m.batches.WithLabelValues(cfg.Name),
		retries: m.retries.WithLabelValues(cfg.Name), dropped: m.CutShort(cfg.Name),
		records: m.records, held: m.held, foreign: m.foreign, heldRows: m.heldRows, paused: m.paused.WithLabelValues(cfg.Name), name: cfg.Name, tables: map[string]*tableMetrics{},
	}
	for i := range cfg.Tables {
		name := cfg.Tables[i].label()
		s.table(name)
		for _, why := range []Hold{HoldTruncate, HoldDeletes, HoldUpdates, HoldSchema, HoldValues, HoldLock, HoldParked} {
			s.hold(&HeldError{Table: name, Why: why}, 0)
		}
		m.skipped.WithLabelValues(cfg.Name, name)
		m.park(cfg.Name, name, 0)
		s.foreign.WithLabelValues(cfg.Name, cfg.Tables[i].destination())
		for kind := range (&Drift{}).Kinds() {
			m.drift.WithLabelValues(cfg.Name, name, kind)
		}
	}
	return s
}

// label is the table's name as records and ENDs write it.
func (t *Table) label() string {
	schema, name, err := change.ParseName(t.From)
	if err != nil {
		return t.From
	}
	return schema + "." + name
}

func (s *sinkMetrics) table(name string) *tableMetrics {
	t := s.tables[name]
	if t == nil {
		t = &tableMetrics{
			applied: s.records.WithLabelValues(s.name, name, "applied"),
			parked:  s.records.WithLabelValues(s.name, name, "parked"),
			failed:  s.records.WithLabelValues(s.name, name, "failed"),
		}
		s.tables[name] = t
	}
	return t
}

func (s *sinkMetrics) count(b *Batch) {
	for i := range b.Changes {
		t := b.Changes[i].Table
		if t == nil {
			continue
		}
		if t != s.lastVersion {
			s.lastVersion, s.last = t, s.table(t.QualifiedName())
		}
		s.last.open++
		if b.Changes[i].Parked {
			s.last.aside++
		}
	}
}

// apply counts what is durable now. Pieces count when their group ends.
func (s *sinkMetrics) apply(b *Batch, now time.Time) {
	s.batches.Inc()
	s.count(b)
	if b.Open {
		return
	}
	for _, t := range s.tables {
		if t.open > 0 {
			t.applied.Add(float64(t.open - t.aside))
			t.parked.Add(float64(t.aside))
			t.open, t.aside = 0, 0
		}
	}
	for _, commit := range b.Commits {
		s.latency.Observe(now.Sub(timeOf(commit)).Seconds())
	}
}

// fail counts the changes of a batch that was not applied.
func (s *sinkMetrics) fail(b *Batch) {
	s.count(b)
	for _, t := range s.tables {
		if t.open > 0 {
			t.failed.Add(float64(t.open))
			t.open, t.aside = 0, 0
		}
	}
}

// hold says whether a table holds the sink.
func (s *sinkMetrics) hold(h *HeldError, held float64) {
	s.held.WithLabelValues(s.name, h.Table, string(h.Why)).Set(held)
	if !h.Why.Decidable() {
		return
	}
	rows := 0.0
	if h.Waiting != nil {
		rows = held * float64(h.Waiting.Rows)
	}
	s.heldRows.WithLabelValues(s.name, h.Table, string(h.Why)).Set(rows)
}

// forget drops what was counted for a group that will be read again.
func (s *sinkMetrics) forget() {
	for _, t := range s.tables {
		t.open, t.aside = 0, 0
	}
}
