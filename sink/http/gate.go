package http

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// gate spaces the calls of a sink: by its rate, and by what the API asks for in Retry-After, which is meant for the
// client and not for one call.
type gate struct {
	gap    time.Duration
	waited func(time.Duration) // for the metric

	mu     sync.Mutex
	next   time.Time // when the next call may go by the rate
	opened time.Time // when any may, by the API
}

// wait blocks until a call may go, or gives until when the API asked to wait where that is later than most from now.
func (g *gate) wait(ctx context.Context, most time.Duration) (until time.Time, err error) {
	now := time.Now()
	g.mu.Lock()
	if g.opened.Sub(now) > most {
		until = g.opened
		g.mu.Unlock()
		return until, nil
	}
	at := now
	for _, t := range []time.Time{g.next, g.opened} {
		if t.After(at) {
			at = t
		}
	}
	g.next = at.Add(g.gap)
	g.mu.Unlock()
	d := at.Sub(now)
	if d <= 0 {
		return until, context.Cause(ctx)
	}
	err = retry.Wait(ctx, d)
	g.waited(time.Since(now))
	return until, err
}

// shut keeps calls back until a time.
func (g *gate) shut(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.opened) {
		g.opened = until
	}
}

// maxRetryAfter bounds what is believed: a clock or a unit that is wrong must not hold a sink up for days.
const maxRetryAfter = time.Hour

// parseRetryAfter reads the header (RFC 9110, 10.2.3): seconds, or a date. Without one, or with one that is no such
// thing, it gives false.
func parseRetryAfter(text string, now time.Time) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil && seconds >= 0 {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter), true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), maxRetryAfter), true
}
