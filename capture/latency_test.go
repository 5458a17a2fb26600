package capture

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
)

// BenchmarkLatency measures from the return of a COMMIT to the row's group being published, one row
// at a time on an otherwise idle connection.
func BenchmarkLatency(b *testing.B) {
	dsn := harness.SharedPostgres(b, 15).NewDatabase()
	d := connect(b, dsn)
	d.run(`CREATE TABLE a (id int PRIMARY KEY)`)
	r := newRecorder(b)
	c := start(b, Config{Name: harness.Unique("lat"), DSN: dsn, Tables: []string{"public.a"}}, r)
	c.awaitState(StateStreaming)
	var took []time.Duration
	for b.Loop() {
		n := len(took) + 1
		d.run(fmt.Sprintf(`INSERT INTO a VALUES (%d)`, n))
		begun := time.Now()
		r.await(n)
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	c.finish()
}
