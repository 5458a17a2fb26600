package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// operation says what is tried, for errors and logs.
type operation struct {
	verb    string
	subject string
	id      int
	loss    string
}

// What a refusal means for the data.
const (
	lossNone    = ""
	lossPublish = "No record with this schema was written, and nothing is lost"
	lossApply   = "Records with this schema cannot be read: they stay in Kafka and are not applied"
)

// defaultBackoff spaces the tries. A registry that restarts is back in seconds: 10 s is the longest
// that we are late for it.
var defaultBackoff = retry.Backoff{First: 100 * time.Millisecond, Most: 10 * time.Second}

// silence is how long an answer may take before the log names the registry: a server that drops our
// packets must not look like one that works.
const silence = 4 * time.Second

// call runs try until it succeeds, gives an answer that stays, or ctx ends.
func (c *Client) call(ctx context.Context, op operation, try func(context.Context) error) error {
	var last error // why the registry does not answer, which is more than that time is up
	pauses := c.retry
	for {
		err := c.attempt(ctx, try)
		if err == nil {
			c.outage.end()
			return nil
		}
		if kind := kindOf(err); kind != nil {
			c.outage.end() // it refuses, so it is there
			return c.describe(op, kind, err)
		}
		if ctx.Err() != nil {
			return c.gaveUp(ctx, op, firstOf(last, err))
		}
		last = err
		c.outage.begin(err)
		if retry.Wait(ctx, pauses.Next()) != nil {
			return c.gaveUp(ctx, op, err)
		}
	}
}

// attempt runs try once and names the registry in the log when it stays silent.
func (c *Client) attempt(ctx context.Context, try func(context.Context) error) error {
	slow := time.AfterFunc(silence, func() { c.outage.begin(fmt.Errorf("no answer for %v", silence)) })
	defer slow.Stop()
	return try(ctx)
}

// gaveUp says that the caller's patience ended before the registry's outage.
func (c *Client) gaveUp(ctx context.Context, op operation, err error) error {
	target := (&Error{Subject: op.subject, ID: op.id}).target()
	return fmt.Errorf("%s%s at %s: %s: %w. Start it, or correct schemas.registry", op.verb, target, c.url, reason(err), ctx.Err())
}
