package http

import (
	"context"
	"sync"

	"github.com/sluicecdc/sluice/sink"
)

// run makes the calls of a stage: each chain in its order, as many chains side by side as the sink may. After an error
// no call is begun, and those under way are waited for. A row that the API refuses ends its own chain only, where such
// rows are parked, and the error names all of them.
func (s *Sink) run(ctx context.Context, chains [][]*step, m *memory) error {
	r := runner{to: s, memory: m, chains: chains, broken: map[*entry]bool{}}
	var workers sync.WaitGroup
	for range min(s.o.Concurrency, len(chains)) {
		workers.Go(func() { r.work(ctx) })
	}
	workers.Wait()
	for _, st := range r.made {
		m.note(st)
	}
	if r.err == nil && len(r.refused) > 0 {
		return refusedError(r.refused)
	}
	return r.err
}

// runner hands the chains of a stage to workers, which do not change the memory.
type runner struct {
	to     *Sink
	memory *memory

	mu      sync.Mutex
	chains  [][]*step
	made    []*step // answered as done
	refused []sink.Refusal
	broken  map[*entry]bool // by their roots: chains of which a call was refused
	err     error           // the first
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
			if r.waits(st) {
				continue
			}
			if err := r.to.call(ctx, st, r.memory); err == nil {
				r.note(st)
			} else if !r.setAside(st, err) {
				r.fail(err)
				return
			}
		}
	}
}

// next takes a chain; nil when there is none left, or no call is to be begun any more.
func (r *runner) next() []*step {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended() || len(r.chains) == 0 {
		return nil
	}
	chain := r.chains[0]
	r.chains = r.chains[1:]
	return chain
}

func (r *runner) going() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.ended()
}

func (r *runner) ended() bool { return r.err != nil || len(r.refused) >= maxRefusals }

// waits tells whether a call of the step's chain was refused before.
func (r *runner) waits(st *step) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken[st.entry.root()]
}

func (r *runner) note(st *step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made = append(r.made, st)
}

// setAside notes a row that the API refuses, where such rows are parked, and tells whether it is one.
func (r *runner) setAside(st *step, err error) bool {
	refusal, ok := refusalOf(st, err)
	if !ok || !r.to.o.Parks {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = append(r.refused, refusal)
	r.broken[st.entry.root()] = true
	return true
}

// fail keeps an error that is for good rather than one that may pass.
func (r *runner) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil || sink.Retryable(r.err) && !sink.Retryable(err) {
		r.err = err
	}
}
