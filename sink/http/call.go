package http

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/retry"
	"github.com/sluicecdc/sluice/sink"
)

// PositionHeader tells the API the position of the change that a call comes of. Within a row positions only rise, so
// that an API which keeps the highest can refuse what comes late.
const PositionHeader = "Sluice-Position"

// request is a call as it is sent, each time.
type request struct {
	method, path string
	body         []byte
	// id is the idempotency key and at the position; empty for a request that changes nothing.
	id, at string
}

// render writes the calls of a unit, so that rows which cannot be sent are found before any call is made.
func (s *Sink) render(u *unit) (stages [][][]*step, err error) {
	var refused []sink.Refusal
	for _, st := range u.stages {
		chains := st.chains()
		if len(chains) == 0 {
			continue
		}
		if s.o.Concurrency == 1 {
			chains = [][]*step{inOrder(chains)}
		}
		for _, chain := range chains {
			for _, one := range chain {
				if one.request, err = s.request(one, one.kind); err == nil {
					continue
				}
				refusal, ok := refusalOf(one, err)
				if !ok || !s.o.Parks {
					return nil, err
				}
				refused = append(refused, refusal)
			}
		}
		stages = append(stages, chains)
	}
	if len(refused) > 0 {
		return nil, refusedError(refused)
	}
	return stages, nil
}

// inOrder gives all calls in the order of their changes.
func inOrder(chains [][]*step) []*step {
	all := slices.Concat(chains...)
	slices.SortStableFunc(all, func(a, b *step) int { return a.at.Compare(b.at) })
	return all
}

// request writes the call of a kind that a step makes.
func (s *Sink) request(st *step, k kind) (r request, err error) {
	t := st.t.calls[k]
	r.method = t.method
	if r.path, err = t.path.render(st.t.cols, st.row); err == nil {
		r.body, err = t.body.render(st.t.cols, st.row)
	}
	if err != nil {
		return r, &rowError{sink: s.o.Name, table: st.t.name, key: st.t.cols.shown(st.row), err: err,
			fix: "correct the row at the source, or map the column to what can be sent (columns)"}
	}
	r.id, r.at = idempotencyKey(s.o.Source, s.o.Name, st.t.name, k, st.at), st.at.String()
	return r, nil
}

// idempotencyKey names a call by where it comes from: equal whenever the call is made again.
func idempotencyKey(source, name, table string, k kind, at change.Position) string {
	return uuid("sluice", source, name, table, string(k), at.String())
}

// uuid makes a UUID of version 8 (RFC 9562, 5.8) of words, a form that every API takes.
func uuid(words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

const (
	// patience is how long a call is tried again before the batch is given up: then the runner says why, tries again
	// as long as it takes, and can be stopped meanwhile.
	patience = 10 * time.Second
	// firstWait and mostWait bound the pauses in between.
	firstWait = 100 * time.Millisecond
	mostWait  = 4 * time.Second
)

// verdict is what an answer means for its call.
type verdict byte

const (
	done verdict = iota
	again
	refused
	conflict // the row is there already, or the same call is still under way
	missing  // an update's row is not there
	unsigned // our token is not taken
)

// call makes the call of a step until it is done. One of a parked change may have been made before, and be known as done
// or as refused by its key. A refused one is made again under a key of the replay: an API may answer a key that it
// knows with what it said then.
func (s *Sink) call(ctx context.Context, st *step, m *memory) error {
	if m.knows(st) {
		return nil
	}
	err := s.pursue(ctx, st, "")
	if _, refused := refusalOf(st, err); refused && m.replay != "" {
		err = s.pursue(ctx, st, m.replay)
	}
	return err
}

// pursue makes a call, by its own key or that of a replay. Where a create finds the row, it is updated, and where an
// update does not, it is created.
func (s *Sink) pursue(ctx context.Context, st *step, replay string) error {
	other, err := s.insist(ctx, st, st.kind, st.request.within(replay))
	if err != nil || other == "" {
		return err
	}
	r, err := s.request(st, other)
	if err != nil {
		return err
	}
	_, err = s.insist(ctx, st, other, r.within(replay))
	return err
}

// within gives the request under the key of a replay, as it is for none.
func (r request) within(replay string) request {
	if replay != "" {
		r.id = uuid(r.id, replay)
	}
	return r
}

// insist makes one call, again while it may succeed and patience lasts. other is the kind of call to make instead,
// which a call made instead does not have itself.
func (s *Sink) insist(ctx context.Context, st *step, k kind, r request) (other kind, err error) {
	a := attempts{pause: retry.Backoff{First: firstWait, Most: mostWait}}
	for {
		if err := s.admit(ctx); err != nil {
			return "", s.fault(st, k, r, 0, err, true)
		}
		got, token, err := s.try(ctx, st.t.name, r)
		if err != nil && ctx.Err() != nil {
			return "", s.fault(st, k, r, 0, context.Cause(ctx), true)
		}
		v, reason := judge(st, k, got, err, token)
		switch {
		case v == done:
			return "", nil
		case v == missing && st.kind == k:
			return kindCreate, nil
		case v == conflict && k == kindCreate && st.kind == k && !a.unheard:
			return kindUpdate, nil
		case v == refused, v == missing:
			return "", s.refuse(st, k, r, got.status, reason)
		case v == unsigned:
			s.signer.refused(token)
			if a.renewed {
				return "", s.fault(st, k, r, got.status, reason, true)
			}
			a.renewed = true
			continue
		}
		a.unheard = a.unheard || err != nil
		wait, ok := a.wait(s.retryAfter(got))
		switch {
		case ok:
		case v == conflict && k == kindCreate && st.kind == k:
			return kindUpdate, nil
		default:
			return "", s.fault(st, k, r, got.status, reason, v != conflict)
		}
		s.o.Metrics.retry(s.o.Name, st.t.name)
		if err := retry.Wait(ctx, wait); err != nil {
			return "", s.fault(st, k, r, 0, err, true)
		}
	}
}

// attempts are those of one call.
type attempts struct {
	pause   retry.Backoff
	waited  time.Duration
	renewed bool // another token was asked for
	unheard bool // one had no answer, and may still be under way at the API
}

// wait gives the pause before the next attempt, at least; false when patience is at its end.
func (a *attempts) wait(least time.Duration) (time.Duration, bool) {
	d := max(least, a.pause.Next())
	a.waited += d
	return d, a.waited <= patience
}

// admit waits for the turn of a call.
func (s *Sink) admit(ctx context.Context) error {
	until, err := s.gate.wait(ctx, patience)
	if err == nil && !until.IsZero() {
		err = fmt.Errorf("the API asks to wait until %s UTC", until.UTC().Format(time.TimeOnly))
	}
	return err
}

// retryAfter gives what the answer asks for, and keeps all calls back where it is about more than one.
func (s *Sink) retryAfter(a answer) time.Duration {
	wait, said := parseRetryAfter(a.retryAfter, time.Now())
	if said && (a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable) {
		s.gate.shut(time.Now().Add(wait))
	}
	return wait
}

// try sends the request once, which is about a table.
func (s *Sink) try(ctx context.Context, table string, r request) (a answer, token string, err error) {
	if token, err = s.signer.token(ctx); err != nil {
		return a, token, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, strings.TrimSuffix(s.o.URL, "/")+r.path, bytes.NewReader(r.body))
	if err != nil {
		return a, token, err
	}
	if r.body == nil {
		req.Body = http.NoBody
		req.ContentLength = 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sluice")
	if r.id != "" {
		req.Header.Set(s.o.IdempotencyHeader, r.id)
		req.Header.Set(PositionHeader, r.at)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	begun := time.Now()
	a, err = send(s.client, req)
	s.o.Metrics.request(s.o.Name, table, a.status, err, time.Since(begun))
	return a, token, err
}

// judge says what an answer means. The reason is for people.
func judge(st *step, k kind, a answer, err error, token string) (verdict, error) {
	if err != nil {
		return again, plain(err)
	}
	c := st.t.calls[k].call
	reason := fmt.Errorf("the API answered %s%s", statusText(a.status), a.excerpt(token))
	gone := a.status == http.StatusNotFound || a.status == http.StatusGone
	switch {
	case c.done(k, a.status):
		return accepted(c, a, reason)
	case a.status == http.StatusUnauthorized:
		return unsigned, fmt.Errorf("%w; it does not take our credentials (auth), and the row is not at fault", reason)
	case passes(a.status):
		return again, reason
	case a.status == http.StatusConflict:
		return conflict, reason
	case k == kindUpdate && gone:
		return missing, reason
	case k == kindPatch && (st.early || st.marks) && gone:
		return done, nil // the row is still to come, whole; or there is none to be marked
	case a.status >= 300 && a.status < 400:
		return refused, fmt.Errorf("%w, a redirect to %.200q, and redirects are not followed", reason, a.location)
	}
	return refused, reason
}

// passes tells whether a status is that of trouble which may pass.
func passes(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests || status >= 500
}

// accepted looks into an answer that counts as done by its status.
func accepted(c *Call, a answer, reason error) (verdict, error) {
	if c.Accept == nil {
		return done, nil
	}
	if a.cut {
		return refused, fmt.Errorf("the answer has more than %d bytes, and accept has to look at it", maxAnswer)
	}
	ok, err := c.Accept.holds(a.status, a.body)
	switch {
	case errors.Is(err, errNoJSON):
		return again, fmt.Errorf("%w; %w", reason, err)
	case err != nil:
		return refused, fmt.Errorf("%w; %w", reason, err)
	case !ok:
		return refused, fmt.Errorf("%w, of which accept (%s) does not hold", reason, c.Accept.Text)
	}
	return done, nil
}

// refuse is about a call that will not succeed as it is. A patch of a row that the API does not have, in a table with
// a condition, is a row that has begun to belong without all its values.
func (s *Sink) refuse(st *step, k kind, r request, status int, reason error) error {
	if k == kindPatch && status == http.StatusNotFound && st.t.dest.Filtered && !st.marks {
		return sink.HeldAt(st.t.lacking(st.row[:len(st.t.table.Columns)], "the API does not have the row, which has begun to match where"), st.at.Commit)
	}
	return s.fault(st, k, r, status, reason, false)
}

func (s *Sink) fault(st *step, k kind, r request, status int, reason error, again bool) error {
	if errors.Is(reason, sink.ErrFenced) {
		return reason
	}
	e := &CallError{Sink: s.o.Name, Doing: string(k), Table: st.t.name, Call: r.method + " " + r.path, Status: status, Err: reason, retry: again}
	if k != kindClear {
		e.Key = st.t.cols.shown(st.row)
	}
	if !again {
		e.class = st.t.calls[k].call.classOf(k, status)
		e.Fix = "correct the row at the source, the call in the configuration or the API, and start the sink again: it goes on with this call, and those of the batch that were made are recognised by their idempotency keys"
	}
	return e
}
