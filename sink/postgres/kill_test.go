package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
)

// The session is killed while batches are applied, at a moment of the scheduler's choice: before, in
// the middle, or while COMMIT is under way and nobody knows its outcome. What the checkpoint says then
// decides, and rows that cannot be told apart are there once each.
func TestKilledInTheMiddle(t *testing.T) {
	for _, lock := range []postgres.LockMode{postgres.LockNone, postgres.LockEnforce} {
		t.Run("lock "+string(lock), func(t *testing.T) { killedInTheMiddle(t, lock) })
	}
}

func killedInTheMiddle(t *testing.T, lock postgres.LockMode) {
	d := fresh(t)
	d.lock = lock
	s := d.resumed(t, hard("log", "counter"))
	log, counter := table("log", "v text"), table("counter", "id integer", "n integer")
	log.Key = nil
	const batches = 150
	lost, applied := 0, 0
	for i := range batches {
		batch := &sink.Batch{Groups: 1, Changes: []change.Change{create(log, "same"), create(log, "same"), update(counter, "1", itoa(i+1))},
			Checkpoint: sink.Checkpoint{Commit: change.LSN(i + 1), Offsets: map[string]map[int32]int64{"t": {0: int64(i + 1)}}}}
		var killer sync.WaitGroup
		if i%3 > 0 {
			killer.Go(func() {
				d.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice' AND datname = current_database()")
			})
		}
		err := s.Apply(context.Background(), batch)
		killer.Wait()
		for err != nil {
			if !sink.Retryable(err) {
				t.Fatalf("batch %d: %v", i, err)
			}
			lost++
			cp := d.takeBack(t, s)
			if cp.Commit == batch.Checkpoint.Commit {
				applied++
				break
			}
			err = s.Apply(context.Background(), batch)
		}
	}
	t.Logf("%d of %d batches lost their session, %d of these were committed", lost, batches, applied)
	if lost == 0 {
		t.Error("no session was lost: nothing was shown")
	}
	d.want(t, "SELECT count(*) FROM log", itoa(2*batches))
	d.want(t, "SELECT n FROM counter", itoa(batches))
}

// takeBack resumes until the lease of the killed session is free.
func (d *database) takeBack(t *testing.T, s sink.Sink) sink.Checkpoint {
	t.Helper()
	for {
		cp, err := s.Resume(context.Background())
		if err == nil {
			return cp
		}
		if !errors.Is(err, sink.ErrLeased) && !sink.Retryable(err) {
			t.Fatal(err)
		}
	}
}
