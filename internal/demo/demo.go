// Package demo shows the whole path on one machine: a PostgreSQL server of its own with a CRM and a
// billing database, a broker and a registry inside the process, and a tour of changes that are made
// at the source and watched at the destination. What it starts it takes away again.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Options are what the demo needs of the command that runs it.
type Options struct {
	Out    io.Writer
	Colour bool // Out shows colours
	Live   bool // Out is a terminal: lines may be rewritten
	// Once ends after the tour and the comparison of both sides.
	Once bool
	// Program is how the reader calls this program, for the commands that are printed.
	Program string
	Getenv  func(string) string
	// Serve runs capture and all sinks of a configuration file until ctx ends, as "sluice run" does.
	Serve func(ctx context.Context, config string, log io.Writer) error
}

// ErrDiffers says that the two sides are not the same.
var ErrDiffers = errors.New("the destination differs from the source")

// Run gives the tour. It gives ErrDiffers when the comparison at its end finds a difference.
func Run(ctx context.Context, o Options) (err error) {
	s := &screen{out: o.Out, colour: o.Colour, live: o.Live}
	begin := time.Now()
	s.title("sluice demo: a CRM feeds a billing database through Kafka, one way")
	st, err := build(ctx, o, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()

	same, err := st.show(ctx, s, begin)
	if err != nil {
		return st.explain(ctx, err)
	}
	s.verdict(same, time.Since(begin))
	if !o.Once {
		st.invite(s, o.Program)
		if err := st.stay(ctx); err != nil {
			return st.explain(ctx, err)
		}
		s.blank()
		s.line("stopping, and taking everything away again")
	}
	if !same {
		return ErrDiffers
	}
	return nil
}

// show is the tour from the first copy to the comparison of both sides.
func (st *stage) show(ctx context.Context, s *screen, begin time.Time) (same bool, err error) {
	if err := st.awaitSnapshot(ctx, s, begin); err != nil {
		return false, err
	}
	if err := st.tour(ctx, s); err != nil {
		return false, err
	}
	if err := st.health(ctx, s); err != nil {
		return false, err
	}
	return st.compare(ctx, s)
}

// explain adds what the pipeline said last to an error of the tour; one that comes of an interrupt
// needs no more words.
func (st *stage) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted before the tour was over")
	}
	select {
	case <-st.served.done:
		return fmt.Errorf("%w; it said last:\n%s", err, st.log.last(15)) // its own error is given by close
	default:
		return fmt.Errorf("%w; the pipeline said last:\n%s", err, st.log.last(15))
	}
}
