package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/capture/publish"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/schemas/registry"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/http"
)

// figures are the metrics of a process, in a registry of its own.
type figures struct {
	all      *prometheus.Registry
	capture  *capture.Metrics
	publish  *publish.Metrics
	kafka    *kafka.Metrics
	registry *registry.Metrics
	sink     *sink.Metrics
	http     *http.Metrics
}

func newFigures() *figures {
	all := prometheus.NewRegistry()
	all.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &figures{
		all: all, capture: capture.NewMetrics(all), publish: publish.NewMetrics(all),
		kafka: kafka.NewMetrics(all), registry: registry.NewMetrics(all), sink: sink.NewMetrics(all), http: http.NewMetrics(all),
	}
}
