package registry

import (
	"context"
	"errors"
)

// Versions gives the numbers of a subject's versions, in rising order; none for a subject that the
// registry does not have. It asks each time.
func (c *Client) Versions(ctx context.Context, subject string) ([]int, error) {
	var versions []int
	op := operation{verb: "cannot list the versions", subject: subject, loss: lossNone}
	err := c.call(ctx, op, func(ctx context.Context) (err error) {
		versions, err = c.api.SubjectVersions(ctx, subject)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return versions, err
}
