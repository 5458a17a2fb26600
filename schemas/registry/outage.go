package registry

import (
	"log/slog"
	"sync"
	"time"
)

// outage is the registry's state as its callers see it: one line in the log when it stops answering
// and one when it answers again, however many calls wait for it and however often they try.
type outage struct {
	log     *slog.Logger
	metrics *Metrics // nil without

	mu    sync.Mutex
	since time.Time // zero while it answers
}

// begin notes a try that failed.
func (o *outage) begin(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.metrics.retried()
	if !o.since.IsZero() {
		return
	}
	o.since = time.Now()
	o.metrics.reachable(false)
	o.log.Warn("schema registry does not answer as it should: trying until it does; new tables and schema changes wait, nothing is lost", "error", reason(err))
}

// end notes an answer.
func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.metrics.reachable(true)
	if o.since.IsZero() {
		return
	}
	o.log.Info("schema registry answers again", "outage", time.Since(o.since).Round(time.Millisecond))
	o.since = time.Time{}
}
