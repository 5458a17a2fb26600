package http

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// state is what Kafka holds of a sink: one record, of which the newest counts.
type state struct {
	// Owner is the process that serves the sink, empty when it gave the sink back. Beat rises with each record: that
	// it stands still is how others know that the owner is gone.
	Owner string `json:"owner,omitempty"`
	Beat  int64  `json:"beat"`

	Commit   change.LSN    `json:"commit_lsn"`
	Time     change.Micros `json:"commit_time,omitempty"`
	Complete bool          `json:"complete"`
	// Offsets are those of the checkpoint, but that of the topic of parked changes, which goes with Done.
	Offsets map[string]map[int32]int64 `json:"offsets,omitempty"`

	// Done says that, behind the checkpoint, the calls of every change up to here were made.
	Done *place `json:"done,omitempty"`
	// Until is written before the calls of a unit are made: those of the changes behind Done up to here may have been
	// made, as one unit. Whoever finds it makes the very same calls again.
	Until *place `json:"until,omitempty"`
}

// place is a change.Position as the record has it.
type place struct {
	Commit  change.LSN `json:"commit_lsn"`
	Ordinal int64      `json:"ordinal"`
}

func placeOf(p change.Position) *place { return &place{p.Commit, p.Ordinal} }

func (p *place) position() change.Position {
	if p == nil {
		return change.Position{}
	}
	return change.Position(*p)
}

func (s *state) checkpoint() sink.Checkpoint {
	return sink.Checkpoint{Commit: s.Commit, Time: s.Time, Complete: s.Complete, Offsets: s.Offsets}
}

// announce notes that the calls up to a position may have been made. A unit that is made again without rows that are
// parked now may end earlier, and goes as far as before.
func (s *state) announce(at change.Position) {
	if s.Until == nil || at.Compare(s.Until.position()) > 0 {
		s.Until = placeOf(at)
	}
}

// pass notes that a unit is done, with the whole batch or within it. One without calls, such as a heartbeat, does not end
// the one that is made again.
func (s *state) pass(u *unit, b *sink.Batch, whole bool) {
	cp := &b.Checkpoint
	switch {
	case b.Replay != "" && whole:
		s.advance(cp)
		return
	case b.Replay != "":
		return
	case !u.empty(), s.Until != nil && whole && cp.Commit >= s.Until.Commit:
		s.Until = nil
	}
	if !whole {
		s.Done = placeOf(u.last)
		s.setAside(b.Aside)
		return
	}
	if s.Done != nil && cp.Commit >= s.Done.Commit {
		s.Done = nil
	}
	s.advance(cp)
}

// setAside notes how far the topic of parked changes was written.
func (s *state) setAside(a sink.Aside) {
	if a.Topic == "" {
		return
	}
	offsets := map[string]map[int32]int64{}
	maps.Copy(offsets, s.Offsets)
	offsets[a.Topic] = map[int32]int64{0: a.Offset}
	s.Offsets = offsets
}

func (s *state) advance(cp *sink.Checkpoint) {
	s.Commit, s.Time, s.Complete, s.Offsets = cp.Commit, cp.Time, cp.Complete, cp.Offsets
}

// done tells whether the calls of a change were made, for sure.
func (s *state) done(p change.Position) bool {
	return p.Commit != 0 && p.Commit <= s.Commit || s.Done != nil && p.Compare(s.Done.position()) <= 0
}

func parseState(b []byte) (s state, err error) {
	if b == nil {
		return s, nil // removed by teardown
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("the checkpoint cannot be read: %w; put the last record back as it was, or remove it (sluice teardown) to start over", err)
	}
	return s, nil
}
