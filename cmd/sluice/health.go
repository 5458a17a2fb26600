package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/sink"
)

// maxLag is the age of the newest change beyond which a process is not ready. Heartbeats travel the
// whole path each second, so an idle source does not raise it.
const maxLag = 30 * time.Second

// report is the body of /api/status.
type report struct {
	Source  string                 `json:"source"`
	Version string                 `json:"version"`
	Started time.Time              `json:"started"`
	Capture *capture.Status        `json:"capture,omitempty"`
	Sinks   map[string]sink.Status `json:"sinks,omitempty"`
}

// status tells how the parts are. Any goroutine may ask.
func (p *process) status() report {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := report{Source: p.cfg.Source.Name, Version: buildOf().Version, Started: p.started.UTC(), Sinks: map[string]sink.Status{}}
	if p.what.capture {
		s := capture.Status{State: capture.StateStopped}
		if p.capture != nil {
			s = p.capture.Status()
		}
		r.Capture = &s
	}
	for name, k := range p.sinks {
		r.Sinks[name] = k.status(p.started)
	}
	return r
}

func (k *runningSink) status(started time.Time) sink.Status {
	if k.runner == nil {
		return sink.Status{State: sink.StateStopped, Reason: "waits for Kafka", LagSeconds: time.Since(started).Seconds()}
	}
	s := k.runner.Status()
	s.Drift = k.drift
	if k.failed != nil {
		s.State, s.Reason = sink.StateStopped, k.failed.Error()
	}
	return s
}

// ready says why this process does not keep up, if so: healthy means that progress was seen at the
// end of the path, not that a process runs.
func (p *process) ready() error {
	r := p.status()
	var faults []error
	if c := r.Capture; c != nil {
		switch {
		case c.State != capture.StateStreaming && c.State != capture.StateSnapshot:
			faults = append(faults, fmt.Errorf("capture is in state %s", c.State))
		case c.LagSeconds == nil:
			faults = append(faults, errors.New("capture has not published a commit yet"))
		case late(*c.LagSeconds):
			faults = append(faults, fmt.Errorf("capture lags %s behind the source", lag(*c.LagSeconds)))
		}
	}
	for _, name := range p.what.sinks {
		switch s := r.Sinks[name]; {
		case s.State == sink.StatePaused, s.State == sink.StateStandby && !s.NextRun.IsZero() && !late(s.LateSeconds):
			// as a person, or its schedule, wants it
		case s.State != sink.StateRunning:
			faults = append(faults, fmt.Errorf("sink %s is in state %s%s", name, s.State, because(s.Reason)))
		case late(s.LateSeconds) && s.NextRun.IsZero():
			faults = append(faults, fmt.Errorf("sink %s lags %s behind the source", name, lag(s.LateSeconds)))
		case late(s.LateSeconds):
			faults = append(faults, fmt.Errorf("sink %s is %s behind its schedule", name, lag(s.LateSeconds)))
		}
	}
	return errors.Join(faults...)
}

func late(seconds float64) bool { return seconds > maxLag.Seconds() }
