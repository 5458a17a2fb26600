package main

import (
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/control"
)

// FuzzControlRecord: whatever somebody writes into the control topic is left alone, or is a wish that capture can refuse.
func FuzzControlRecord(f *testing.F) {
	f.Add("1", []byte(`{"id":"1","table":"public.t","where":"id < 3","wanted":"run","max_rows_per_second":10}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		for _, r := range copyRequests(control.Wishes{snapshotPrefix + key: value}) {
			if schema, name, err := change.ParseName(r.Table); err == nil && (schema == "" || name == "") {
				t.Errorf("%q is taken for a table", r.Table)
			}
			if r.MaxRowsPerSecond < 0 {
				t.Errorf("a rate of %d", r.MaxRowsPerSecond)
			}
		}
	})
}
