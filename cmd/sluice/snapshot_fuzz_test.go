package main

import (
	"testing"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/control"
)

// FuzzControlRecord: whatever somebody writes into the control topic is left alone, or is a wish that capture can refuse.
func FuzzControlRecord(f *testing.F) {
	f.Add("1", []byte(`{"id":"1","table":"public.t","where":"id < 3","wanted":"run","max_rows_per_second":10}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		for _, r := range copyRequests(control.Wishes{snapshotPrefix + key: value}) {
			if _, _, err := change.ParseName(r.Table); err == nil && r.Table == "" {
				t.Errorf("%+v", r)
			}
			if r.MaxRowsPerSecond < 0 {
				t.Errorf("a rate of %d", r.MaxRowsPerSecond)
			}
		}
		_ = capture.WantRun
	})
}
