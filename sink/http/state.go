package http

import (
	"encoding/json"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/sink"
)

// state is what Kafka holds of a sink: one record, of which the newest counts.
type state struct {
	// Owner is the process that serves the sink, empty when it gave the sink back. Beat rises with each record: that
	// it stands still is how others know that the owner is gone.
	Owner string `json:"owner,omitempty"`
	Beat  int64  `json:"beat"`

	Commit   change.LSN                 `json:"commit_lsn"`
	Time     change.Micros              `json:"commit_time,omitempty"`
	Complete bool                       `json:"complete"`
	Offsets  map[string]map[int32]int64 `json:"offsets,omitempty"`

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
