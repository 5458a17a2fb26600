package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/control"
	"github.com/sluicecdc/sluice/sink"
)

// sinkName is the sink that a command steers.
type sinkName struct {
	Sink string `arg:"" name:"sink" help:"A sink of the configuration."`
}

type pauseCmd struct{ sinkName }

// Help is shown by "sluice pause --help".
func (pauseCmd) Help() string {
	return "The sink keeps its position and gives its lease back; Kafka keeps what comes, and the source does not wait. " +
		"It stays paused through restarts, until sluice resume."
}

// Run pauses.
func (c *pauseCmd) Run(a *app) error {
	return a.steer(c.Sink, func(*steered) (control.Wishes, string, error) {
		wishes := control.Wishes{}
		return wishes, "paused: it keeps its position until sluice resume " + c.Sink,
			wishes.Put(sinkKey(c.Sink, pauseKey), pauseWish{true, time.Now().UTC()})
	})
}

type resumeCmd struct{ sinkName }

// Run resumes.
func (c *resumeCmd) Run(a *app) error {
	return a.steer(c.Sink, func(s *steered) (control.Wishes, string, error) {
		if !s.wishes.Paused {
			return nil, "", fmt.Errorf("sink %s is not paused", c.Sink)
		}
		wishes := control.Wishes{}
		return wishes, "goes on from its position", wishes.Put(sinkKey(c.Sink, pauseKey), pauseWish{false, time.Now().UTC()})
	})
}

type syncCmd struct{ sinkName }

// Help is shown by "sluice sync --help".
func (syncCmd) Help() string {
	return "A sink with a cadence applies what was committed at the source before now, and sleeps again until the next time of its schedule."
}

// Run asks for a run between times.
func (c *syncCmd) Run(a *app) error {
	return a.steer(c.Sink, func(s *steered) (control.Wishes, string, error) {
		switch {
		case s.config.Cadence.Realtime():
			return nil, "", usageError{fmt.Errorf("sink %s has no cadence: it applies everything at once already", c.Sink)}
		case s.wishes.Paused:
			return nil, "", fmt.Errorf("sink %s is paused: sluice resume %s first", c.Sink, c.Sink)
		}
		now := time.Now().UTC()
		wishes := control.Wishes{}
		return wishes, "applies what was committed before " + now.Format(time.RFC3339), wishes.Put(sinkKey(c.Sink, syncKey), timeWish{now})
	})
}

type approveCmd struct {
	sinkName
	For time.Duration `placeholder:"TIME" help:"Have the breaker of the sink hold nothing for so long, for example 1h."`
}

// Help is shown by "sluice approve --help".
func (approveCmd) Help() string {
	return "Shows what holds the sink and lets it through, once. With --for whatever comes until then is let through too, " +
		"and nothing need wait yet; a TRUNCATE that the configuration refuses is still held."
}

// Run approves.
func (c *approveCmd) Run(a *app) error {
	return a.steer(c.Sink, func(s *steered) (control.Wishes, string, error) {
		if c.For < 0 {
			return nil, "", usageError{fmt.Errorf("--for %s: want a time to come", c.For)}
		}
		wishes, said := control.Wishes{}, "approved: it is applied"
		if c.For > 0 {
			until := time.Now().Add(c.For).UTC()
			said = "the breaker holds nothing until " + until.Format(time.RFC3339)
			if err := wishes.Put(sinkKey(c.Sink, liftKey), timeWish{until}); err != nil {
				return nil, "", err
			}
		}
		err := s.decide(wishes, sink.Approve)
		if c.For > 0 && s.nothingWaits() {
			err = nil
		}
		return wishes, said, err
	})
}

type skipCmd struct{ sinkName }

// Help is shown by "sluice skip --help".
func (skipCmd) Help() string {
	return "Shows what holds the sink and leaves it out: the changes of that kind to that table in that transaction. The rest of it is applied, " +
		"and the destination differs from the source from then on."
}

// Run skips.
func (c *skipCmd) Run(a *app) error {
	return a.steer(c.Sink, func(s *steered) (control.Wishes, string, error) {
		wishes := control.Wishes{}
		err := s.decide(wishes, sink.Skip)
		return wishes, "skipped: it is left out, the rest of its transaction is applied", err
	})
}

// steered is a sink that a person steers.
type steered struct {
	app    *app
	config config.Sink
	wishes sink.Wishes
}

// steer places the wishes that say makes of what is in force.
func (a *app) steer(name string, say func(*steered) (wishes control.Wishes, said string, err error)) error {
	desk, err := a.openDesk()
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	defer desk.client.Close()
	if _, err := chooseSinks(desk.cfg, []string{name}); err != nil {
		return err
	}
	all, err := control.Read(a.ctx, desk.client, desk.cfg.Source.Name)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	wishes, said, err := say(&steered{a, desk.cfg.Sinks[name], sinkWishes(all, name)})
	if err != nil {
		return err
	}
	if err := desk.write(a.ctx, wishes); err != nil {
		return unlessStopped(a.ctx, err)
	}
	fmt.Fprintf(a.out, "sink %s: %s. The wish is in Kafka; the sink obeys it within seconds, or when it starts\n", name, said)
	return nil
}

func (s *steered) nothingWaits() bool { return s.wishes.Waiting == nil }

// decide shows what waits and adds the decision about it.
func (s *steered) decide(wishes control.Wishes, v sink.Verdict) error {
	name, w := s.config.Name, s.wishes.Waiting
	if s.nothingWaits() {
		return fmt.Errorf("nothing waits at sink %s: there is nothing to %s", name, v)
	}
	fmt.Fprintln(s.app.out, waitingText(name, w))
	if !w.Kind.Decidable() {
		return fmt.Errorf("sink %s is held by another reason (%s), which this cannot settle: do what the reason says", name, w.Kind)
	}
	d := sink.Decision{Verdict: v, At: w.At, To: w.To, Kind: w.Kind, Time: time.Now().UTC().Truncate(time.Second)}
	return wishes.Put(sinkKey(name, keyOf(&d)), &d)
}

// waitingText shows what waits for people.
func waitingText(name string, w *sink.Waiting) string {
	var b strings.Builder
	fmt.Fprintf(&b, "sink %s is held at commit %s", name, w.At)
	if !w.Time.IsZero() {
		fmt.Fprintf(&b, " of %s", w.Time.Format("2006-01-02 15:04:05Z"))
	}
	fmt.Fprintf(&b, ", since %s\n  table   %s\n  kind    %s\n", w.Since.UTC().Format("2006-01-02 15:04:05Z"), w.Table, w.Kind)
	if !w.Kind.Decidable() {
		fmt.Fprintf(&b, "  reason  %s", w.Reason)
		return b.String()
	}
	fmt.Fprintf(&b, "  rows    %s\n", w.Counted())
	if w.Limits != "" {
		fmt.Fprintf(&b, "  limits  %s\n", w.Limits)
	}
	if len(w.Samples) > 0 {
		fmt.Fprintf(&b, "  keys    %s\n", strings.Join(w.Samples, ", "))
	}
	fmt.Fprintf(&b, "  decide  sluice approve %s | sluice skip %s", name, name)
	return b.String()
}
