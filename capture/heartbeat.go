package capture

import (
	"context"
	"errors"
	"time"
)

const (
	// heartbeatPrefix begins the prefix of our own messages; the slot's name follows, as several
	// captures may read one database.
	heartbeatPrefix = "sluice_heartbeat:"
	// heartbeatEvery bounds how old the newest commit can be when nothing is wrong.
	heartbeatEvery = time.Second
	// slotEvery is in heartbeats: the slot's figures move slowly.
	slotEvery = 5
	// askTimeout bounds one question to the source.
	askTimeout = 5 * time.Second
)

// beat writes a heartbeat every second, a logical message that travels the whole path, and keeps the
// figures. Its faults are told and do not end the session, as the stream may well go on; that a standby is none
// any more does.
func (c *Capture) beat(ctx context.Context) error {
	every := time.NewTicker(heartbeatEvery)
	defer every.Stop()
	var troubled bool
	for n := 0; ; n++ {
		err := c.pulse(ctx, n%slotEvery == 0)
		if errors.Is(err, errPromoted) {
			return err
		}
		if err != nil && !troubled && ctx.Err() == nil {
			c.log.Warn("cannot write the heartbeat or look at the slot; lag will seem to grow, and the slot keeps log while nothing is captured", "error", err)
		}
		troubled = err != nil
		for more := true; more; {
			select {
			case <-every.C:
				more = false
			case <-c.beats:
				err := c.heart(ctx)
				troubled = troubled || err != nil
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// beatSoon has a heartbeat written now.
func (c *Capture) beatSoon() {
	select {
	case c.beats <- struct{}{}:
	default:
	}
}

// heart writes a heartbeat.
func (c *Capture) heart(ctx context.Context) error {
	if c.source.standby {
		return nil
	}
	const q = `SELECT pg_logical_emit_message(true, $1, '')`
	_, err := c.source.pool.Exec(ctx, q, heartbeatPrefix+c.cfg.Slot)
	return err
}

func (c *Capture) pulse(ctx context.Context, lookAtSlot bool) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	c.figures()
	if err := c.heart(ctx); err != nil {
		return err
	}
	if !lookAtSlot {
		return nil
	}
	info, err := c.source.slot(ctx, c.cfg.Slot)
	if err != nil {
		return err
	}
	c.noteSlot(info)
	promoted, err := c.source.promoted(ctx)
	if promoted {
		return errPromoted
	}
	return err
}

// figures brings the gauges up to date.
func (c *Capture) figures() {
	s := c.Status()
	c.metrics.confirmed.Set(float64(s.ConfirmedLSN))
	c.metrics.durable.Set(float64(s.DurableLSN))
	if p := c.poolInForce(); p != nil {
		c.metrics.waiting.Set(float64(p.waiting()))
	}
	if s.LagSeconds != nil {
		c.metrics.lag.Set(*s.LagSeconds)
	}
}
