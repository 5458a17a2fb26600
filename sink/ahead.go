package sink

import (
	"context"
	"sync"
)

// ahead prepares the next batch while one is applied: one goroutine, which owns the consumer, and no
// queue, so that two batches exist at most.
type ahead struct {
	due    chan context.CancelFunc // for each call of Next: says that its batch is wanted now
	out    chan prepared
	cancel context.CancelFunc
	done   sync.WaitGroup
}

type prepared struct {
	batch *Batch
	err   error
}

func readAhead(ctx context.Context, consumer Consumer) *ahead {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{due: make(chan context.CancelFunc, 1), out: make(chan prepared), cancel: cancel}
	a.done.Go(func() { a.run(ctx, consumer) })
	return a
}

func (a *ahead) run(ctx context.Context, consumer Consumer) {
	for {
		due, want := context.WithCancel(ctx)
		select {
		case a.due <- want:
		case <-ctx.Done():
			want()
			return
		}
		b, err := consumer.Next(ctx, due)
		select {
		case a.out <- prepared{b, err}:
		case <-ctx.Done():
		}
		want()
		if err != nil || ctx.Err() != nil {
			return
		}
	}
}

// next gives the next batch, which is valid until the call after it.
func (a *ahead) next(ctx context.Context) (*Batch, error) {
	select {
	case want := <-a.due:
		want()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case p := <-a.out:
		return p.batch, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stop ends the goroutine and waits for it.
func (a *ahead) stop() {
	a.cancel()
	a.done.Wait()
}
