package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A session ends with one of these when what was found out about the source at the start does not hold any more.
var (
	errPromoted    = errors.New("the standby was promoted")
	errRepublished = errors.New("the publication is not the one that was read from")
)

// anew connects again and finds out everything anew.
func (c *Capture) anew(ctx context.Context, why error) error {
	c.log.Warn("connecting anew", "server", c.source.where, "reason", why)
	if c.republished(why) {
		c.useless = "publication " + c.cfg.Publication + " was dropped and made again: the slot does not give what was committed while there was none"
	}
	c.setState(StateConnecting)
	c.detach()
	c.source.close()
	return c.prepare(ctx)
}

// republished tells whether an error is that the publication is not the one that was read from. PostgreSQL before
// 18 refuses to decode what was committed while there was none; later ones leave it out without a word.
func (c *Capture) republished(err error) bool {
	return errors.Is(err, errRepublished) || sqlState(err) == stateUndefinedObject && strings.Contains(err.Error(), c.cfg.Publication)
}

// promoted tells whether a source that was a standby at the start is none any more.
func (s *source) promoted(ctx context.Context) (bool, error) {
	if !s.standby {
		return false, nil
	}
	var recovers bool
	if err := s.pool.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&recovers); err != nil {
		return false, fmt.Errorf("cannot ask %s whether it is a standby: %w", s.where, err)
	}
	return !recovers, nil
}
