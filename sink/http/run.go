package http

import (
	"context"
	"sync"

	"github.com/sluicecdc/sluice/sink"
)

// run makes the calls of a stage: each chain in its order, as many chains side by side as the sink may. After an error
// no call is begun, and those under way are waited for.
func (s *Sink) run(ctx context.Context, chains [][]*step) error {
	r := runner{to: s, chains: chains}
	var workers sync.WaitGroup
	for range min(s.o.Concurrency, len(chains)) {
		workers.Go(func() { r.work(ctx) })
	}
	workers.Wait()
	for _, id := range r.made {
		s.made[id] = true
	}
	return r.err
}

// runner hands the chains of a stage to workers.
type runner struct {
	to *Sink

	mu     sync.Mutex
	chains [][]*step
	made   []string // ids of calls that were answered as done
	err    error    // the first
}

func (r *runner) work(ctx context.Context) {
	for {
		chain := r.next()
		if chain == nil {
			return
		}
		for _, st := range chain {
			if !r.going() {
				return
			}
			if err := r.to.call(ctx, st); err != nil {
				r.fail(err)
				return
			}
			r.note(st.id)
		}
	}
}

// next takes a chain; nil when there is none left, or a call has failed.
func (r *runner) next() []*step {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil || len(r.chains) == 0 {
		return nil
	}
	chain := r.chains[0]
	r.chains = r.chains[1:]
	return chain
}

func (r *runner) going() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err == nil
}

func (r *runner) note(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made = append(r.made, id)
}

// fail keeps an error that is for good rather than one that may pass.
func (r *runner) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil || sink.Retryable(r.err) && !sink.Retryable(err) {
		r.err = err
	}
}
