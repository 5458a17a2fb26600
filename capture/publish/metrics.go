package publish

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicecdc/sluice/internal/change"
)

// Metrics counts what was written to Kafka.
type Metrics struct {
	Records  *prometheus.CounterVec // by table and operation
	Messages prometheus.Counter
	Groups   prometheus.Counter
	Resent   prometheus.Counter
	Held     *prometheus.GaugeVec // by table
}

// NewMetrics registers the publisher's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		Records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_published_records_total",
			Help: "Changes written to a table's topic, by operation (c u d r t).",
		}, []string{"table", "op"}),
		Messages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_published_messages_total",
			Help: "Logical messages written to the message topic.",
		}),
		Groups: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_published_groups_total",
			Help: "END and HEARTBEAT records written to the transaction topic.",
		}),
		Resent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_resent_records_total",
			Help: "Changes that the slot sent again after a restart and that stood in their topic already.",
		}),
	}
	m.Held = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sluice_table_held",
		Help: "1 while the changes of a table wait in the held topic because its schema cannot be published.",
	}, []string{"table"})
	reg.MustRegister(m.Records, m.Messages, m.Groups, m.Resent, m.Held)
	return m
}

func (m *Metrics) held(t *change.Table, is float64) {
	m.Held.WithLabelValues(t.QualifiedName()).Set(is)
}

// tableMetrics are one table's counters, resolved once.
type tableMetrics struct {
	create, update, remove, read, truncate prometheus.Counter
}

func (m *Metrics) table(t *change.Table) tableMetrics {
	of := func(op change.Op) prometheus.Counter {
		return m.Records.WithLabelValues(t.QualifiedName(), op.String())
	}
	return tableMetrics{of(change.Create), of(change.Update), of(change.Delete), of(change.Read), of(change.Truncate)}
}

func (t *tableMetrics) count(op change.Op) {
	switch op {
	case change.Create:
		t.create.Inc()
	case change.Update:
		t.update.Inc()
	case change.Delete:
		t.remove.Inc()
	case change.Read:
		t.read.Inc()
	case change.Truncate:
		t.truncate.Inc()
	}
}
