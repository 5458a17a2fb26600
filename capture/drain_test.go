package capture

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
)

// orders is the table of the benchmarks: 8 columns of usual types.
const orders = `CREATE TABLE orders (id bigint PRIMARY KEY, customer_id int, status text, amount numeric(12,2), currency char(3),
	note text, created_at timestamptz, paid boolean)`

// fillOrders takes the number of transactions less one, and twice the rows of each.
const fillOrders = `DO $$ BEGIN FOR i IN 0..%d LOOP
	INSERT INTO orders SELECT g, g %% 10000, (ARRAY['new','paid','shipped'])[g %% 3 + 1], (g %% 100000) / 100.0, 'EUR',
		'note ' || g, '2024-01-01'::timestamptz + g * interval '1 second', g %% 2 = 0
	FROM generate_series(i * %d + 1, (i + 1) * %d) g; COMMIT; END LOOP; END $$`

// nothing is a Downstream that counts.
type nothing struct {
	n       atomic.Int64
	durable atomic.Uint64
	journal map[string][]byte
}

func (p *nothing) Open(context.Context, []*change.Table) (Downstream, error) { return p, nil }
func (p *nothing) Publish(_ context.Context, g *change.Group, c *change.Change) error {
	if c != nil {
		p.n.Add(1)
	} else {
		p.durable.Store(uint64(g.End))
	}
	return nil
}
func (p *nothing) Flush() bool                   { return false }
func (p *nothing) Durable() change.LSN           { return change.LSN(p.durable.Load()) }
func (p *nothing) Get(key string) ([]byte, bool) { v, ok := p.journal[key]; return v, ok }
func (p *nothing) Put(_ context.Context, key string, v []byte) error {
	p.journal[key] = v
	return nil
}
func (p *nothing) PutSoon(ctx context.Context, key string, v []byte) error { return p.Put(ctx, key, v) }
func (p *nothing) Settle(context.Context) error                            { return nil }
func (p *nothing) Keys(string) []string                                    { return nil }
func (p *nothing) Ended() change.LSN                                       { return 0 }
func (p *nothing) EndedAt() change.LSN                                     { return 0 }
func (p *nothing) Reached() change.LSN                                     { return 0 }
func (p *nothing) Recent() []change.Group                                  { return nil }
func (p *nothing) Abandon()                                                {}
func (p *nothing) Close() error                                            { return nil }

// BenchmarkDrain reads a backlog of 1,000,000 rows with a publisher that does nothing: the ceiling of
// everything that comes after. PostgreSQL decodes meanwhile, on the same machine.
func BenchmarkDrain(b *testing.B) {
	const rows = 1_000_000
	for _, per := range []int{rows, 1000, 10} {
		b.Run(fmt.Sprintf("transactions of %d rows", per), func(b *testing.B) {
			dsn := harness.SharedPostgres(b, 15).NewDatabase()
			d := connect(b, dsn)
			d.run(orders)
			down := &nothing{journal: map[string][]byte{}}
			cfg := Config{Name: harness.Unique("bench"), DSN: dsn, Tables: []string{"public.orders"}}
			run(b, cfg, down, func() bool { return down.Durable() > 0 })
			total := min(rows, 20_000*per)
			d.run(fmt.Sprintf(fillOrders, total/per-1, per, per))
			b.ResetTimer()
			before, begun := cpu(), time.Now()
			run(b, cfg, down, func() bool { return down.n.Load() >= int64(total) })
			took := time.Since(begun)
			b.ReportMetric(float64(total)/took.Seconds(), "rows/s")
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(total), "cpu-ns/row")
		})
	}
}

func run(b *testing.B, cfg Config, down *nothing, until func() bool) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := New(cfg, down.Open, logger(b), nil)
	defer func() { b.ReportMetric(testutil.ToFloat64(c.metrics.reads), "reads") }()
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	eventually(b, "the end of the backlog", until)
	cancel()
	if err := ended(b, "capture", done); err != nil {
		b.Fatal(err)
	}
}

// cpu gives the time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
