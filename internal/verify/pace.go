package verify

import (
	"context"
	"time"

	"github.com/sluicecdc/sluice/internal/retry"
)

// pace bounds the rows that are read a second.
type pace struct {
	perSecond int
	free      time.Time // nothing is read before
}

// read waits as long as the rows that were just read are worth.
func (p *pace) read(ctx context.Context, rows int64) error {
	if p.perSecond == 0 {
		return nil
	}
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(rows) * time.Second / time.Duration(p.perSecond))
	return retry.Wait(ctx, p.free.Sub(now))
}
