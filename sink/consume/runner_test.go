package consume

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// shaky is a destination in memory that fails now and then, before its commit or after it.
type shaky struct {
	chance  *rand.Rand
	rows    []string // committed
	open    []string
	held    sink.Checkpoint
	last    change.LSN
	reached chan struct{}
}

// lost is a connection that broke.
type lost struct{}

func (lost) Error() string   { return "the connection was lost" }
func (lost) Retryable() bool { return true }

func (s *shaky) Resume(context.Context) (sink.Checkpoint, error) {
	s.open = nil
	if s.chance.IntN(5) == 0 {
		return sink.Checkpoint{}, lost{}
	}
	return s.held, nil
}

func (s *shaky) Apply(_ context.Context, b *sink.Batch) error {
	when := s.chance.IntN(10)
	if when == 0 {
		return lost{}
	}
	for i := range b.Changes {
		s.open = append(s.open, describe(&b.Changes[i], 0))
	}
	if !b.Open {
		s.rows, s.open, s.held = append(s.rows, s.open...), nil, b.Checkpoint
		if s.held.Commit == s.last {
			close(s.reached)
			s.last = 0
		}
	}
	if when == 1 {
		return lost{} // the answer to the commit did not arrive
	}
	return nil
}

func (s *shaky) Close() error { return nil }

func TestRunnerOverFailuresAppliesEachChangeOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawLog(rt)
		r := newRig(w)
		r.limits.BatchChanges = rapid.IntRange(3, 20).Draw(rt, "batch changes")
		seed := rapid.Uint64().Draw(rt, "failures")
		var err error
		var rows []string
		synctest.Test(t, func(*testing.T) { rows, err = runShaky(r, seed) })
		if err != nil {
			rt.Fatal(err)
		}
		if want := plain(w.want); !slices.Equal(rows, want) {
			rt.Fatalf("applied\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
		}
	})
}

// runShaky applies the rig's log to a shaky destination until its end.
func runShaky(r *rig, seed uint64) ([]string, error) {
	r.more = make(chan struct{})
	dest := &shaky{chance: rand.New(rand.NewPCG(2, seed)), last: change.LSN(r.w.commit), reached: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	defer cancel()
	ended := make(chan error, 1)
	run := sink.New(sink.Config{Name: "s", Source: "src", Type: "memory"}, dest, sink.Deps{
		Open: func(_ context.Context, from sink.Checkpoint, _ change.LSN) (sink.Consumer, error) {
			return r.start(from), nil
		},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: sink.NewMetrics(prometheus.NewRegistry()),
	})
	go func() { ended <- run.Run(ctx) }()
	select {
	case <-dest.reached:
		cancel()
		return dest.rows, <-ended
	case err := <-ended:
		return dest.rows, errors.Join(err, errors.New("the end was not reached in a day of tries"))
	}
}

// plain writes what is wanted as describe writes it without commits.
func plain(want []string) []string {
	out := slices.Clone(want)
	for i, s := range out {
		_, rest, _ := strings.Cut(s, "+")
		out[i] = "0+" + rest
	}
	return out
}
