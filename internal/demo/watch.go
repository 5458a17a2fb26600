package demo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// arrivalTime bounds the wait for one change; it takes milliseconds when all is well.
const arrivalTime = 20 * time.Second

// glance is the pause between two looks at the destination, and so the error of a measured latency.
const glance = time.Millisecond

// await asks the destination, again and again, until the question is answered with true.
func (st *stage) await(ctx context.Context, limit time.Duration, ask func(ctx context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		yes, err := ask(ctx)
		if yes || err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-tick.C:
		case <-st.served.done:
			return errors.New("the pipeline has ended")
		case <-ctx.Done():
			return fmt.Errorf("nothing arrived within %s", limit)
		}
	}
}

// snapshotTime bounds the start of the pipeline and the first copy.
const snapshotTime = 60 * time.Second

// awaitSnapshot waits for the rows that were there before.
func (st *stage) awaitSnapshot(ctx context.Context, s *screen, begin time.Time) error {
	s.heading("First the rows that are there")
	s.blank()
	err := st.await(ctx, snapshotTime, func(ctx context.Context) (complete bool, err error) {
		s.waiting(fmt.Sprintf("copying ... %.1f s", time.Since(begin).Seconds()))
		var known bool
		err = st.billing.QueryRow(ctx, "select to_regclass('sluice.progress') is not null").Scan(&known)
		if err != nil || !known {
			return false, err
		}
		err = st.billing.QueryRow(ctx, "select coalesce(bool_and(complete), false) from sluice.progress").Scan(&complete)
		return complete, err
	})
	if err != nil {
		return fmt.Errorf("cannot copy the first rows: %w", err)
	}
	var rows int64
	err = st.billing.QueryRow(ctx, "select (select count(*) from companies) + (select count(*) from customers) + (select count(*) from deals)").Scan(&rows)
	if err != nil {
		return fmt.Errorf("cannot count the rows of billing: %w", err)
	}
	s.line(s.paint(green, "billing  ") + thousands(rows) + " rows are there, all of them at once")
	return nil
}
