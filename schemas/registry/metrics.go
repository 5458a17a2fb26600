package registry

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what a client goes through.
type Metrics struct {
	up      prometheus.Gauge
	retries prometheus.Counter
}

// NewMetrics registers the series of the registry client.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_registry_up",
			Help: "1 when the schema registry answered last time, 0 while it does not.",
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_registry_retries_total",
			Help: "Requests to the schema registry that failed and were tried again.",
		}),
	}
	reg.MustRegister(m.up, m.retries)
	return m
}

// Observe makes the client report to m. Call it before the first request.
func (c *Client) Observe(m *Metrics) { c.outage.metrics = m }

func (m *Metrics) reachable(is bool) {
	switch {
	case m == nil:
	case is:
		m.up.Set(1)
	default:
		m.up.Set(0)
	}
}

func (m *Metrics) retried() {
	if m != nil {
		m.retries.Inc()
	}
}
