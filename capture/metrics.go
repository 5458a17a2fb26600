package capture

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicecdc/sluice/internal/change"
)

// Metrics are capture's figures.
type Metrics struct {
	changes      *prometheus.CounterVec // by table and op
	groups       prometheus.Counter
	bytes        prometheus.Counter
	reads        prometheus.Counter
	reconnects   prometheus.Counter
	waiting      prometheus.Gauge // bytes
	confirmed    prometheus.Gauge // LSN
	durable      prometheus.Gauge // LSN
	slotBytes    prometheus.Gauge
	slotSafe     prometheus.Gauge
	lag          prometheus.Gauge // seconds
	snapshotRows prometheus.Counter
	uncaptured   prometheus.Gauge // tables
}

// NewMetrics makes the figures and registers them; reg may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_capture_changes_total", Help: "Changes read from the log, by table and operation.",
		}, []string{"table", "op"}),
		groups:       counter("groups_total", "Source transactions and snapshot chunks handed to the publisher."),
		bytes:        counter("received_bytes_total", "Bytes of the replication stream."),
		reads:        counter("reads_total", "Reads from the replication connection."),
		reconnects:   counter("reconnects_total", "Replication connections lost and sought again."),
		waiting:      gauge("buffer_bytes", "Bytes of the stream received and not yet decoded, in whole buffers."),
		confirmed:    gauge("confirmed_lsn_bytes", "Log position confirmed to PostgreSQL, as a number."),
		durable:      gauge("durable_lsn_bytes", "End of the last group that Kafka holds whole, as a number."),
		slotBytes:    gauge("slot_wal_bytes", "Log that the slot keeps PostgreSQL from removing."),
		slotSafe:     gauge("slot_safe_wal_bytes", "Log that can still be written before the slot is lost; -1 without max_slot_wal_keep_size."),
		lag:          gauge("lag_seconds", "Age of the newest commit that Kafka holds; heartbeats keep it true when idle."),
		snapshotRows: counter("snapshot_rows_total", "Rows copied by the initial snapshot."),
	}
	m.uncaptured = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_tables_uncaptured", Help: "Tables that should be captured, or were, and whose changes are not; status names them.",
	})
	if reg != nil {
		reg.MustRegister(m.uncaptured, m.changes, m.groups, m.bytes, m.reads, m.reconnects, m.waiting, m.confirmed,
			m.durable, m.slotBytes, m.slotSafe, m.lag, m.snapshotRows)
	}
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_capture_" + name, Help: help})
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_capture_" + name, Help: help})
}

// counters resolves a table's series once, in the order of flushCounts.
func (m *Metrics) counters(t *change.Table) [4]adder {
	var out [4]adder
	for i, op := range []change.Op{change.Create, change.Update, change.Delete, change.Truncate} {
		out[i] = m.changes.WithLabelValues(t.QualifiedName(), op.String())
	}
	return out
}
