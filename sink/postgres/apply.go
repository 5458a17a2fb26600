package postgres

import (
	"context"
	"errors"
	"maps"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/crash"
	"github.com/sluicecdc/sluice/sink"
)

// Apply makes the batch durable with its checkpoint, or nothing of it. After an error nothing is open,
// and Resume says where to go on. The error has Retryable() bool and names table and key; it is a
// *sink.RefusedError for rows that the destination does not take, a *sink.HeldError for a refused TRUNCATE, and wraps
// sink.ErrFenced when the lease was lost.
func (s *Sink) Apply(ctx context.Context, b *sink.Batch) error {
	if s.conn == nil {
		return s.wrap("apply", "", refuse("", "it was not resumed"))
	}
	if !b.Open && s.applied(&b.Checkpoint) {
		return s.rollback(ctx)
	}
	err := s.apply(ctx, b)
	if err == nil {
		return nil
	}
	err = s.wrap(doApply, "", err)
	if dropErr := s.rollback(ctx); dropErr != nil {
		s.disconnect()
		return err
	}
	return s.extend(ctx, err)
}

// applied recognizes the batch that was committed last: a checkpoint with offsets is never given twice.
// Tables without key depend on it, since their rows cannot be told apart.
func (s *Sink) applied(cp *sink.Checkpoint) bool {
	return cp.Commit == s.stored.Commit && len(cp.Offsets) > 0 &&
		maps.EqualFunc(cp.Offsets, s.stored.Offsets, maps.Equal[map[int32]int64, map[int32]int64])
}

func (s *Sink) apply(ctx context.Context, b *sink.Batch) error {
	if err := s.watch(ctx); err != nil {
		return err
	}
	changes := s.join(b)
	crash.At("mapped")
	s.begin()
	err := s.play(ctx, b, changes, s.write)
	if class(err) != "" {
		if err = s.goBack(ctx, err); err == nil {
			err = s.play(ctx, b, changes, s.sift)
		}
	}
	var held *sink.HeldError
	if errors.As(err, &held) && len(s.refusals) > 0 {
		return s.refusedError() // without the rows that were left out it may be another matter
	}
	if err != nil || b.Open {
		return err
	}
	err = s.commit(ctx, &b.Checkpoint)
	if class(err) != "" && s.pieces == 0 {
		return s.blame(ctx, changes, err)
	}
	return err
}

// play executes a batch up to the commit. An open one leaves a point to which the next piece can go
// back, a closed one writes the checkpoint last, which only succeeds while this process owns the sink.
func (s *Sink) play(ctx context.Context, b *sink.Batch, changes []change.Change, write func(context.Context, []change.Change) error) error {
	if err := write(ctx, changes); err != nil {
		return err
	}
	switch {
	case b.Open:
		return s.mark(ctx)
	case len(s.refusals) > 0:
		return s.refusedError()
	}
	args, err := s.checkpointArgs(&b.Checkpoint)
	if err != nil {
		return err
	}
	if s.progress == "" {
		if s.progress, err = s.prepare(ctx, writeProgress); err != nil {
			return err
		}
	}
	s.queue.addPrepared(s.progress, textArgs(args), nil, expect{rows: 1, miss: func() error {
		return refuse("stop this process, or let it stand by", "%w", sink.ErrFenced)
	}})
	return s.flush(ctx)
}

// commit ends the transaction and remembers the checkpoint.
func (s *Sink) commit(ctx context.Context, cp *sink.Checkpoint) error {
	crash.At("applied")
	if err := s.end(ctx); err != nil {
		return err
	}
	crash.At("committed")
	s.tx, s.pieces = false, 0
	s.stored = *cp
	s.stored.Offsets = make(map[string]map[int32]int64, len(cp.Offsets))
	for topic, parts := range cp.Offsets {
		s.stored.Offsets[topic] = maps.Clone(parts)
	}
	return nil
}
