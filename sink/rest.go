package sink

import (
	"context"
	"errors"
	"time"
)

// errRest ends an attempt of a sink that has nothing to do now, or is not to do it.
var errRest = errors.New("the sink rests")

// rest blocks while the sink is paused, or sleeps until the next time of its schedule. The lease is given back
// by then.
func (r *Runner) rest(ctx context.Context) {
	for ctx.Err() == nil {
		w, changed := r.steering.now()
		now := time.Now()
		switch {
		case w.Paused:
			if r.status.get().State != StatePaused {
				r.log.Info("sink is paused: its position is kept and its lease given back", "lsn", r.status.get().AppliedLSN)
				r.status.set(StatePaused, "sluice pause; sluice resume "+r.cfg.Name+" lets it go on")
			}
			r.metrics.paused.Set(1)
			waitFor(ctx, changed, 0)
		case r.asleep(&w, now):
			next := r.cadence.after(now)
			r.status.set(StateStandby, "sleeps until "+next.Format("2006-01-02 15:04:05 MST")+" (cadence "+r.cadence.String()+"); sluice sync "+r.cfg.Name+" runs it now")
			waitFor(ctx, changed, next.Sub(now))
		default:
			r.metrics.paused.Set(0)
			if r.rested {
				r.status.set(StateStopped, "takes its lease")
			}
			return
		}
	}
}

// asleep tells whether all is applied that the schedule, or a person, wants by now. What the destination holds
// is known from the last time that the sink had the lease.
func (r *Runner) asleep(w *Wishes, now time.Time) bool {
	return !r.cadence.Realtime() && len(w.Parked) == 0 && r.seen && r.last.Complete && !timeOf(r.last.Time).Before(r.target(w, now))
}

// target is the time before which everything that was committed at the source is to be applied by now.
func (r *Runner) target(w *Wishes, now time.Time) time.Time {
	t := r.cadence.by(now)
	if w.Sync.After(t) {
		t = w.Sync
	}
	return t
}

// note keeps what the destination holds, and tells whether that is all for now. Heartbeats travel through the
// transaction topic, so that the time rises when nothing is written at the source. Rows that are waited for are part of
// what is to be applied now: the checkpoint that Kafka's records give does not know of them.
func (r *Runner) note(at Checkpoint) (rest bool) {
	r.last, r.seen = at, true
	r.last.Complete = at.Complete && len(r.status.get().Awaited) == 0
	if r.cadence.Realtime() {
		return false
	}
	w := r.steering.get()
	return r.asleep(&w, time.Now())
}

// resting tells an attempt that ended because the sink is to rest from one that failed.
func resting(ctx, life context.Context, err error) bool {
	return errors.Is(err, errRest) || ctx.Err() == nil && life.Err() != nil && (err == nil || errors.Is(err, context.Canceled))
}

// postTime bounds the showing of what waits to other processes.
const postTime = 15 * time.Second

// post shows what waits, nil for nothing, to people on other machines and to the next process of the sink. It
// tells whether they can see it.
func (r *Runner) post(ctx context.Context, w *Waiting) bool {
	if r.deps.Post == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	err := r.deps.Post(ctx, w)
	if err != nil && ctx.Err() == nil {
		r.log.Warn("cannot tell other processes what the sink waits for; sluice approve and skip cannot see it yet", "error", err)
	}
	return err == nil
}

// tidy takes back, once, what was said of changes that are behind the sink: an earlier process may have said it.
func (r *Runner) tidy(ctx context.Context, at Checkpoint) {
	if w := r.steering.get().Waiting; w != nil && r.held == nil && at.Commit >= w.At && r.tidied != w.At {
		r.tidied = w.At
		r.post(ctx, nil)
	}
}
