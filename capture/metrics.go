package capture

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicecdc/sluice/internal/change"
)

// Metrics are capture's figures.
type Metrics struct {
	changes    *prometheus.CounterVec // by table and op
	groups     prometheus.Counter
	bytes      prometheus.Counter
	reads      prometheus.Counter
	reconnects prometheus.Counter
	waiting    prometheus.Gauge // bytes
	confirmed  prometheus.Gauge // LSN
	durable    prometheus.Gauge // LSN
	slotBytes  prometheus.Gauge
	slotSafe   prometheus.Gauge
	lag        prometheus.Gauge       // seconds
	copiedRows *prometheus.CounterVec // by table
	copyRows   *prometheus.GaugeVec   // by table, estimated
	copies     *prometheus.GaugeVec   // by state
	uncaptured prometheus.Gauge       // tables
	gaps       prometheus.Counter
}

// NewMetrics makes the figures and registers them; reg may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_capture_changes_total", Help: "Changes read from the log, by table and operation.",
		}, []string{"table", "op"}),
		groups:     counter("groups_total", "Source transactions and snapshot chunks handed to the publisher."),
		bytes:      counter("received_bytes_total", "Bytes of the replication stream."),
		reads:      counter("reads_total", "Reads from the replication connection."),
		reconnects: counter("reconnects_total", "Replication connections lost and sought again."),
		gaps:       counter("gaps_total", "Losses of log that were marked in the transaction topic and are repaired by copying every table again."),
		waiting:    gauge("buffer_bytes", "Bytes of the stream received and not yet decoded, in whole buffers."),
		confirmed:  gauge("confirmed_lsn_bytes", "Log position confirmed to PostgreSQL, as a number."),
		durable:    gauge("durable_lsn_bytes", "End of the last group that Kafka holds whole, as a number."),
		slotBytes:  gauge("slot_wal_bytes", "Log that the slot keeps PostgreSQL from removing."),
		slotSafe:   gauge("slot_safe_wal_bytes", "Log that can still be written before the slot is lost; -1 without max_slot_wal_keep_size."),
		lag:        gauge("lag_seconds", "Age of the newest commit that Kafka holds; heartbeats keep it true when idle."),
		copiedRows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_snapshot_rows_total", Help: "Rows from before that were copied into the stream, by table.",
		}, []string{"table"}),
		copyRows: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_snapshot_estimated_rows", Help: "About how many rows the copy under way has, by table.",
		}, []string{"table"}),
		copies: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_snapshot_copies", Help: "Copies of tables by state: waiting, copying, paused, done, cancelled, failed.",
		}, []string{"state"}),
	}
	m.uncaptured = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_tables_uncaptured", Help: "Tables that should be captured, or were, and whose changes are not; status names them.",
	})
	if reg != nil {
		reg.MustRegister(m.uncaptured, m.changes, m.groups, m.bytes, m.reads, m.reconnects, m.gaps, m.waiting, m.confirmed,
			m.durable, m.slotBytes, m.slotSafe, m.lag, m.copiedRows, m.copyRows, m.copies)
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

// noteCopies shows how far copies are.
func (m *Metrics) noteCopies(all []CopyStatus) {
	states := map[string]int{CopyWaiting: 0, CopyCopying: 0, CopyPaused: 0, CopyDone: 0, CopyCancelled: 0, CopyFailed: 0}
	m.copyRows.Reset()
	for i := range all {
		states[all[i].State]++
		if all[i].State == CopyCopying {
			m.copyRows.WithLabelValues(all[i].Table).Set(float64(max(all[i].EstimatedRows, all[i].Rows)))
		}
	}
	for state, n := range states {
		m.copies.WithLabelValues(state).Set(float64(n))
	}
}
