package sink

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// watched is a destination that others write to.
type watched struct {
	memory
	writes []ForeignWrite
}

func (w *watched) Foreign() []ForeignWrite {
	writes := w.writes
	w.writes = nil
	return writes
}

func TestForeignWritesAreTold(t *testing.T) {
	dest := &watched{writes: []ForeignWrite{
		{At: time.Unix(20, 0), Table: "public.accounts", Operation: "UPDATE", Rows: 990, Login: "clerk"},
		{At: time.Unix(10, 0), Table: "public.accounts", Operation: "DELETE", Rows: 10, Login: "other"},
	}}
	c := Config{Name: "billing", Tables: []Table{{From: "public.accounts", Columns: nil}}}
	c.SetDefaults()
	metrics := NewMetrics(prometheus.NewRegistry())
	mapped := &mapper{Sink: Guarded(dest, &c, NewSteering(), slog.New(slog.DiscardHandler), metrics)}
	r := New(c, mapped, Deps{Log: slog.New(slog.DiscardHandler), Metrics: metrics})
	counted := metrics.foreign.WithLabelValues("billing", "public.accounts")
	if testutil.CollectAndCount(metrics.foreign) != 1 || testutil.ToFloat64(counted) != 0 {
		t.Error("the series does not begin at zero")
	}
	r.noticeForeign()
	r.noticeForeign()
	s := r.Status()
	if testutil.ToFloat64(counted) != 1000 || s.ForeignWrites != 1000 || s.LastForeignWrite == nil || s.LastForeignWrite.Login != "clerk" {
		t.Errorf("counted %v, status %+v", testutil.ToFloat64(counted), s)
	}
}
